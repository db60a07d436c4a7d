
/* sources: pusher/ngx_chat_trigger.c pusher/ngx_chat_name.c */
/* sources: pusher/ngx_chat_event.c */
/* sources: wire/ngx_chat_json.c wire/ngx_chat_json_write.c */
/* sources: wire/ngx_chat_utf8.c libs: -lyajl */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Bodies of the HTTP API: what was accepted keeps all the rules, reads the
 * same when it is written anew, and renders to events that carry it.
 */


#include "fuzz_json.h"

#include <pusher/ngx_chat_event.h>
#include <pusher/ngx_chat_trigger.h>


static ngx_uint_t
is_channel(ngx_str_t *s)
{
    size_t  i;

    static const char  user[] = "#server-to-user-";

    if (s->len == 0 || s->len > NGX_CHAT_CHANNEL_NAME_MAX) {
        return 0;
    }

    i = 0;

    if (s->len >= sizeof(user) && memcmp(s->data, user, sizeof(user) - 1) == 0)
    {
        i = sizeof(user) - 1;
    }

    for ( /* void */ ; i < s->len; i++) {
        if (s->data[i] == '\0'
            || strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                      "0123456789_-=@,.;", s->data[i]) == NULL)
        {
            return 0;
        }
    }

    return 1;
}


static void
check_event(unit_pool_t *pool, ngx_chat_trigger_event_t *e, size_t data_max)
{
    u_char                 *buf;
    ssize_t                 len;
    ngx_uint_t              i, k;
    ngx_chat_json_value_t  *v;

    EXPECT(e->name.len >= 1 && e->name.len <= 4 * NGX_CHAT_EVENT_NAME_MAX);
    EXPECT(memcmp(e->name.data, "pusher:", ngx_min(e->name.len, 7)) != 0
           || e->name.len < 7);
    EXPECT(fuzz_is_utf8(&e->name) && fuzz_is_utf8(&e->data));
    EXPECT(e->data.len <= data_max);
    EXPECT(e->nchannels >= 1 && e->nchannels <= NGX_CHAT_TRIGGER_CHANNELS);

    for (i = 0; i < e->nchannels; i++) {
        EXPECT(is_channel(&e->channels[i]));

        for (k = 0; k < i; k++) {
            EXPECT(!fuzz_same(&e->channels[i], &e->channels[k]));
        }
    }

    len = ngx_chat_event_render(NULL, 0, &e->name, &e->channels[0], &e->data);
    EXPECT(len > 0);

    buf = unit_alloc(pool, len);
    EXPECT(ngx_chat_event_render(buf, len, &e->name, &e->channels[0],
                                 &e->data)
           == len);

    v = fuzz_json_read(pool, buf, len);

    fuzz_json_expect(v, "event", &e->name);
    fuzz_json_expect(v, "channel", &e->channels[0]);
    fuzz_json_expect(v, "data", &e->data);
}


static void
write_event(ngx_chat_json_write_t *w, ngx_chat_trigger_event_t *e)
{
    u_char     *p, id[NGX_CHAT_SOCKET_ID_LEN];
    ngx_str_t   s;
    ngx_uint_t  i;

    static const char  *infos[] = {
        "", "user_count", "subscription_count",
        "subscription_count,user_count", "cache", "cache , user_count",
        " cache,subscription_count", "user_count,,cache,subscription_count"
    };

    ngx_chat_json_write_key(w, "data");
    ngx_chat_json_write_string(w, &e->data);
    ngx_chat_json_write_key(w, "name");
    ngx_chat_json_write_string(w, &e->name);
    ngx_chat_json_write_key(w, "channels");
    ngx_chat_json_write_array(w);

    for (i = 0; i < e->nchannels; i++) {
        ngx_chat_json_write_string(w, &e->channels[i]);
    }

    ngx_chat_json_write_array_end(w);
    ngx_chat_json_write_key(w, "socket_id");

    if (e->except.high || e->except.low) {
        p = ngx_chat_name_write_socket_id(id, &e->except);
        s.data = id;
        s.len = p - id;
        ngx_chat_json_write_string(w, &s);

    } else {
        ngx_chat_json_write_null(w);
    }

    ngx_chat_json_write_key(w, "info");
    ngx_chat_json_write_cstring(w, infos[e->info & 7]);
}


static void
write_body(ngx_chat_json_write_t *w, ngx_chat_trigger_t *t, ngx_uint_t batch)
{
    ngx_uint_t  i;

    ngx_chat_json_write_object(w);

    if (batch) {
        ngx_chat_json_write_key(w, "batch");
        ngx_chat_json_write_array(w);
    }

    for (i = 0; i < t->n; i++) {

        if (batch) {
            ngx_chat_json_write_object(w);
        }

        write_event(w, &t->events[i]);

        if (batch) {
            ngx_chat_json_write_object_end(w);
        }
    }

    if (batch) {
        ngx_chat_json_write_array_end(w);
    }

    if (t->idempotency_key.data) {
        ngx_chat_json_write_key(w, "idempotency_key");
        ngx_chat_json_write_string(w, &t->idempotency_key);
    }

    ngx_chat_json_write_object_end(w);
}


static void
check_again(unit_pool_t *pool, ngx_chat_trigger_t *t, ngx_uint_t batch)
{
    u_char                    *buf;
    ssize_t                    len;
    ngx_uint_t                 i, k;
    ngx_chat_trigger_t         again;
    ngx_chat_json_write_t      w;
    ngx_chat_trigger_event_t  *a, *b;

    ngx_chat_json_write_init(&w, NULL, 0);
    write_body(&w, t, batch);
    len = ngx_chat_json_write_done(&w);
    EXPECT(len > 0);

    buf = unit_alloc(pool, len);

    ngx_chat_json_write_init(&w, buf, len);
    write_body(&w, t, batch);
    EXPECT(ngx_chat_json_write_done(&w) == len);

    again = *t;

    EXPECT((batch ? ngx_chat_trigger_read_batch(&again, buf, len)
                  : ngx_chat_trigger_read_event(&again, buf, len))
           == NGX_OK);

    EXPECT(again.n == t->n);
    EXPECT(fuzz_same(&again.idempotency_key, &t->idempotency_key));

    for (i = 0; i < t->n; i++) {
        a = &t->events[i];
        b = &again.events[i];

        EXPECT(fuzz_same(&a->name, &b->name));
        EXPECT(fuzz_same(&a->data, &b->data));
        EXPECT(a->except.high == b->except.high
               && a->except.low == b->except.low);
        EXPECT((a->info & 7) == b->info);
        EXPECT(a->nchannels == b->nchannels);

        for (k = 0; k < a->nchannels; k++) {
            EXPECT(fuzz_same(&a->channels[k], &b->channels[k]));
        }
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_t              f;
    ngx_int_t           rc;
    ngx_str_t           body;
    ngx_uint_t          how, i;
    unit_pool_t         pool;
    ngx_chat_trigger_t  t;

    memset(&pool, 0, sizeof(unit_pool_t));
    memset(&t, 0, sizeof(ngx_chat_trigger_t));
    fuzz_json_init(&t.json, &pool);

    f.p = (u_char *) data;
    f.len = size;

    how = fuzz_byte(&f);
    t.data_max = (how & 2) ? 10240 : how;

    body = fuzz_take(&f, &pool, f.len);

    rc = (how & 1) ? ngx_chat_trigger_read_batch(&t, body.data, body.len)
                   : ngx_chat_trigger_read_event(&t, body.data, body.len);

    if (rc == NGX_OK) {
        EXPECT((how & 1) ? t.n >= 1 && t.n <= NGX_CHAT_TRIGGER_BATCH
                         : t.n == 1);
        EXPECT(t.idempotency_key.data == NULL
               || (t.idempotency_key.len >= 1
                   && t.idempotency_key.len <= NGX_CHAT_TRIGGER_KEY_MAX));

        for (i = 0; i < t.n; i++) {
            check_event(&pool, &t.events[i], t.data_max);
        }

        check_again(&pool, &t, how & 1);

    } else {
        EXPECT(rc == NGX_DECLINED);
        EXPECT(t.status == 400 || t.status == 413);
        EXPECT(t.error.len > 0 && t.error.len < sizeof(t.text));
        EXPECT(fuzz_is_utf8(&t.error) && !fuzz_has(&t.error, "\n", 1));
    }

    unit_pool_free(&pool);

    return 0;
}
