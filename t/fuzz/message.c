
/* sources: wire/ngx_chat_urlencoded.c */
/* sources: wire/ngx_chat_message.c wire/ngx_chat_json.c */
/* sources: wire/ngx_chat_json_write.c wire/ngx_chat_utf8.c libs: -lyajl */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Message bodies, JSON and forms: what was accepted renders to a message
 * with the same content, and reads the same when it is posted once more, in
 * either form.
 */


#include "fuzz_json.h"

#include <time.h>

#include <wire/ngx_chat_message.h>


#define TIME_MIN  (-62167219200000LL)
#define TIME_MAX  253402300799999LL


/* By decoding, and a list of what Unicode calls White_Space. */

static ngx_uint_t
is_blank(ngx_str_t *s)
{
    int          n, k;
    size_t       i;
    uint32_t     ch;
    ngx_uint_t   found;

    static const uint32_t  spaces[] = {
        0x9, 0xa, 0xb, 0xc, 0xd, 0x20, 0x85, 0xa0, 0x1680, 0x2000, 0x2001,
        0x2002, 0x2003, 0x2004, 0x2005, 0x2006, 0x2007, 0x2008, 0x2009,
        0x200a, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000
    };

    for (i = 0; i < s->len; i += n) {
        n = fuzz_utf8_char(s->data + i, s->len - i);
        EXPECT(n > 0);

        ch = (n == 1) ? s->data[i] : s->data[i] & (0x7f >> n);

        for (k = 1; k < n; k++) {
            ch = ch << 6 | (s->data[i + k] & 0x3f);
        }

        found = 0;

        for (k = 0; k < (int) (sizeof(spaces) / sizeof(spaces[0])); k++) {
            found |= (spaces[k] == ch);
        }

        if (!found) {
            return 0;
        }
    }

    return 1;
}


static void
check_time(ngx_str_t *text, int64_t ms)
{
    int        year, month, day, hour, minute, second, milli, n;
    struct tm  tm;
    char       copy[NGX_CHAT_MESSAGE_TIME_LEN + 1];

    ms = ngx_min(ngx_max(ms, TIME_MIN), TIME_MAX);

    EXPECT(text->len == NGX_CHAT_MESSAGE_TIME_LEN);

    memcpy(copy, text->data, text->len);
    copy[text->len] = '\0';

    n = 0;
    EXPECT(sscanf(copy, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &year, &month, &day,
                  &hour, &minute, &second, &milli, &n) == 7
           && n == NGX_CHAT_MESSAGE_TIME_LEN);

    memset(&tm, 0, sizeof(struct tm));

    tm.tm_year = year - 1900;
    tm.tm_mon = month - 1;
    tm.tm_mday = day;
    tm.tm_hour = hour;
    tm.tm_min = minute;
    tm.tm_sec = second;

    EXPECT((int64_t) timegm(&tm) * 1000 + milli == ms);

    /* timegm() would have set right what is no date */
    EXPECT(tm.tm_mon == month - 1 && tm.tm_mday == day
           && tm.tm_hour == hour && tm.tm_sec == second);
}


/* Every byte escaped. */

static ngx_str_t
escape(unit_pool_t *pool, const char *name, ngx_str_t *value)
{
    size_t      i;
    u_char     *p;
    ngx_str_t   s;

    s.data = unit_alloc(pool, strlen(name) + 2 + 3 * value->len);
    p = s.data + sprintf((char *) s.data, "%s=", name);

    for (i = 0; i < value->len; i++) {
        p += snprintf((char *) p, 4, (i & 1) ? "%%%02x" : "%%%02X",
                      value->data[i]);
    }

    s.len = p - s.data;

    return s;
}


static void
check_form(unit_pool_t *pool, ngx_chat_message_post_t *post)
{
    ngx_str_t                body;
    ngx_chat_json_t          j;
    ngx_chat_message_post_t  again;

    fuzz_json_init(&j, pool);

    body = escape(pool, "content", &post->content);

    EXPECT(ngx_chat_message_read_form(&again, &j, body.data, body.len)
           == NGX_OK);
    EXPECT(fuzz_same(&again.content, &post->content));
    EXPECT(again.blank == post->blank);
    EXPECT(again.socket_id.data == NULL);
}


static void
check_render(unit_pool_t *pool, ngx_chat_message_post_t *post, fuzz_t *f)
{
    u_char                   *buf;
    ssize_t                   len;
    ngx_chat_json_t           j;
    ngx_chat_message_t        m;
    ngx_chat_json_value_t    *v;
    ngx_chat_message_post_t   again;

    memset(&m, 0, sizeof(ngx_chat_message_t));

    m.kind = fuzz_byte(f) & 1;
    m.id = fuzz_number(f);
    m.created = (int64_t) fuzz_number(f) >> (fuzz_byte(f) % 24);
    m.updated = (int64_t) fuzz_number(f) >> (fuzz_byte(f) % 24);
    m.content = post->content;
    ngx_str_set(&m.event, "new_message");

    if (post->socket_id.data) {
        m.author = post->socket_id;
    }

    len = ngx_chat_message_render(&m, NULL, 0);
    EXPECT(len > 0);

    buf = unit_alloc(pool, len);
    EXPECT(ngx_chat_message_render(&m, buf, len) == len);

    v = fuzz_json_read(pool, buf, len);

    fuzz_json_expect(v, m.kind ? "data" : "content", &m.content);
    check_time(&fuzz_json_get(v, "created_at", NGX_CHAT_JSON_STRING_e)->text,
               m.created);

    if (m.author.len) {
        fuzz_json_expect(v, "author", &m.author);
    }

    if (m.kind) {
        return;
    }

    check_time(&fuzz_json_get(v, "updated_at", NGX_CHAT_JSON_STRING_e)->text,
               m.updated);

    fuzz_json_init(&j, pool);

    EXPECT(ngx_chat_message_read_json(&again, &j, buf, len) == NGX_OK);
    EXPECT(fuzz_same(&again.content, &post->content));
    EXPECT(again.blank == post->blank);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_t                    f, rest;
    ngx_int_t                 rc;
    ngx_str_t                 body;
    ngx_uint_t                form;
    unit_pool_t               pool;
    ngx_chat_json_t           j;
    ngx_chat_message_post_t   post;

    memset(&pool, 0, sizeof(unit_pool_t));
    fuzz_json_init(&j, &pool);

    f.p = (u_char *) data;
    f.len = size;
    rest = f;

    form = fuzz_byte(&f) & 1;
    body = fuzz_take(&f, &pool, f.len);

    rc = form ? ngx_chat_message_read_form(&post, &j, body.data, body.len)
              : ngx_chat_message_read_json(&post, &j, body.data, body.len);

    if (rc == NGX_OK) {
        EXPECT(fuzz_is_utf8(&post.content));
        EXPECT(fuzz_is_utf8(&post.socket_id));
        EXPECT(post.blank == is_blank(&post.content));

        check_form(&pool, &post);
        check_render(&pool, &post, &rest);

    } else {
        EXPECT(rc == NGX_DECLINED && post.error != NULL);
    }

    unit_pool_free(&pool);

    return 0;
}
