
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Reading the log.  All that comes is foreign: it may be another cluster's, a
 * later version's, or nonsense.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <link/ngx_chat_link.h>
#include <shared/ngx_chat_futex.h>
#include <wire/ngx_chat_clock.h>

#include <stdio.h>


#define NGX_CHAT_LINK_PAUSE  50        /* ms between attempts */
#define NGX_CHAT_LINK_WORD  48         /* bytes of an id, or a number */
#define NGX_CHAT_LINK_FIELDS  12       /* of meta */


static ngx_int_t ngx_chat_link_meta_read(ngx_chat_link_t *l,
    ngx_chat_engine_reply_t *reply, ngx_chat_link_meta_t *meta);
static ngx_int_t ngx_chat_link_read_fields(ngx_chat_engine_reply_t *fields,
    ngx_chat_link_entry_t *entry);
static ngx_int_t ngx_chat_link_read_number(ngx_str_t *s, ngx_uint_t hex,
    uint64_t *n);
static ngx_int_t ngx_chat_link_read_text(u_char *to, ngx_str_t *s);


ngx_int_t
ngx_chat_link_meta(ngx_chat_link_t *l, ngx_chat_link_meta_t *meta)
{
    ngx_int_t                 rc;
    ngx_str_t                 words[2 + NGX_CHAT_LINK_FIELDS];
    ngx_uint_t                i;
    ngx_chat_engine_reply_t  *reply;

    static const char  *names[NGX_CHAT_LINK_FIELDS] = {
        "term", "seq", "nonce", "first", "start", "id", "epoch", "from_term",
        "from_seq", "from_nonce", "offered", "format"
    };

    ngx_str_set(&words[0], "HMGET");
    words[1] = l->conf->meta;

    for (i = 0; i < NGX_CHAT_LINK_FIELDS; i++) {
        words[2 + i].data = (u_char *) names[i];
        words[2 + i].len = strlen(names[i]);
    }

    memset(meta, 0, sizeof(ngx_chat_link_meta_t));

    rc = ngx_chat_engine_call(&l->engine, words, 2 + NGX_CHAT_LINK_FIELDS,
                              NGX_CHAT_LINK_CALL, &reply);
    if (rc == NGX_OK) {
        rc = ngx_chat_link_meta_read(l, reply, meta);
        ngx_chat_engine_free(reply);
    }

    return rc;
}


/* NGX_OK; NGX_DECLINED: it is not ours. */

static ngx_int_t
ngx_chat_link_meta_read(ngx_chat_link_t *l, ngx_chat_engine_reply_t *reply,
    ngx_chat_link_meta_t *meta)
{
    ngx_str_t   values[NGX_CHAT_LINK_FIELDS], *format;
    ngx_uint_t  i;

    if (ngx_chat_engine_count(reply) == NGX_CHAT_LINK_FIELDS
        && ngx_chat_engine_is_nil(ngx_chat_engine_item(reply, 0))
        && ngx_chat_engine_is_nil(ngx_chat_engine_item(reply,
                                                   NGX_CHAT_LINK_FIELDS - 1)))
    {
        return NGX_OK;
    }

    for (i = 0; i < NGX_CHAT_LINK_FIELDS; i++) {
        values[i] = ngx_chat_engine_text(ngx_chat_engine_item(reply, i));
    }

    format = &values[NGX_CHAT_LINK_FIELDS - 1];

    if (format->len && (format->len != 1 || format->data[0] != '1')) {
        (void) ngx_chat_engine_failed(&l->engine, "the cluster is of a newer "
                                      "version of this module");
        return NGX_DECLINED;
    }

    if (format->len == 0
        || ngx_chat_link_read_number(&values[0], 0, &meta->term) != NGX_OK
        || meta->term == 0
        || ngx_chat_link_read_number(&values[1], 0, &meta->seq) != NGX_OK
        || ngx_chat_link_read_number(&values[2], 1, &meta->nonce) != NGX_OK
        || ngx_chat_link_read_number(&values[3], 0, &meta->first) != NGX_OK
        || ngx_chat_link_read_number(&values[4], 1, &meta->start) != NGX_OK
        || ngx_chat_link_read_text(meta->id, &values[5]) != NGX_OK
        || ngx_chat_link_read_text(meta->epoch, &values[6]) != NGX_OK
        || ngx_chat_link_read_number(&values[7], 0, &meta->from.term) != NGX_OK
        || ngx_chat_link_read_number(&values[8], 0, &meta->from.seq) != NGX_OK
        || ngx_chat_link_read_number(&values[9], 1, &meta->from.nonce) != NGX_OK
        || ngx_chat_link_read_number(&values[10], 0, &meta->offered) != NGX_OK)
    {
        (void) ngx_chat_engine_failed(&l->engine, "its key \"meta\" is none of "
                                      "this module's");
        return NGX_DECLINED;
    }

    return NGX_OK;
}


ngx_int_t
ngx_chat_link_catch_up(ngx_chat_link_t *l, uint64_t end, uint64_t *seq,
    u_char *epoch)
{
    uint64_t              now;
    ngx_int_t             rc;
    ngx_chat_link_sh_t   *sh;
    ngx_chat_link_meta_t  meta;

    sh = l->conf->sh;

    for ( ;; ) {
        now = ngx_chat_clock_msec();

        if (now >= end) {
            return NGX_ERROR;
        }

        rc = ngx_chat_engine_connect(&l->engine, end - now);

        if (rc == NGX_OK) {
            rc = ngx_chat_link_meta(l, &meta);
        }

        /* the term is looked at again behind the wait: numbers are its own */

        if (rc == NGX_OK && meta.term
            && meta.term == ngx_chat_link_get(&sh->term)
            && ngx_chat_link_sh_wait(sh, &sh->stored, meta.seq, end) == NGX_OK
            && meta.term == ngx_chat_link_get(&sh->term))
        {
            *seq = meta.seq;
            ngx_memcpy(epoch, meta.epoch, NGX_CHAT_LINK_EPOCH);

            return NGX_OK;
        }

        ngx_chat_link_set(&sh->doubt, 1);
        ngx_chat_futex_sleep(&sh->turns, ngx_chat_link_get(&sh->turns),
                             NGX_CHAT_LINK_PAUSE);
    }
}


static ngx_int_t
ngx_chat_link_read_text(u_char *to, ngx_str_t *s)
{
    /* it goes into SQL and headers */

    if (s->len != NGX_CHAT_LINK_EPOCH
        || strspn((char *) s->data, "0123456789abcdef") < s->len)
    {
        return NGX_ERROR;
    }

    memcpy(to, s->data, NGX_CHAT_LINK_EPOCH);

    return NGX_OK;
}


ngx_int_t
ngx_chat_link_read(ngx_chat_link_t *l, ngx_chat_link_place_t *place,
    ngx_uint_t n, ngx_msec_t ms, ngx_chat_engine_reply_t **reply)
{
    return ngx_chat_link_stream(l, &l->conf->log, place, n, ms, reply);
}


ngx_int_t
ngx_chat_link_stream(ngx_chat_link_t *l, ngx_str_t *key,
    ngx_chat_link_place_t *place, ngx_uint_t n, ngx_msec_t ms,
    ngx_chat_engine_reply_t **reply)
{
    char       id[NGX_CHAT_LINK_WORD], block[NGX_CHAT_LINK_WORD];
    char       count[NGX_CHAT_LINK_WORD];
    ngx_int_t  rc;
    ngx_str_t  words[8];

    *reply = NULL;

    ngx_str_set(&words[0], "XREAD");
    ngx_str_set(&words[1], "COUNT");
    words[2].data = (u_char *) count;
    words[2].len = snprintf(count, sizeof(count), "%u", (unsigned) n);
    ngx_str_set(&words[3], "BLOCK");
    words[4].data = (u_char *) block;
    words[4].len = snprintf(block, sizeof(block), "%lu",
                            (unsigned long) ngx_max(ms, 1));
    ngx_str_set(&words[5], "STREAMS");
    words[6] = *key;
    words[7].data = (u_char *) id;
    words[7].len = snprintf(id, sizeof(id), "%llu-%llu",
                            (unsigned long long) place->term,
                            (unsigned long long) place->seq);

    /* an engine that is stopped does not keep its own time */

    rc = ngx_chat_engine_call(&l->engine, words, 8, ms + NGX_CHAT_LINK_CALL,
                              reply);

    /* [[stream, [[id, [field, value, ...]], ...]]], or nil */

    if (rc == NGX_OK
        && !ngx_chat_engine_is_nil(*reply)
        && ngx_chat_engine_count(ngx_chat_link_entries(*reply)) == 0)
    {
        ngx_chat_engine_free(*reply);
        *reply = NULL;

        rc = ngx_chat_engine_failed(&l->engine, "it gives an answer to XREAD "
                                    "that is none");
        ngx_chat_engine_close(&l->engine);
    }

    return rc;
}


ngx_chat_engine_reply_t *
ngx_chat_link_entries(ngx_chat_engine_reply_t *reply)
{
    return ngx_chat_engine_item(ngx_chat_engine_item(reply, 0), 1);
}


ngx_int_t
ngx_chat_link_entry(ngx_chat_engine_reply_t *reply, ngx_uint_t n,
    ngx_chat_link_entry_t *entry)
{
    u_char                   *p;
    ngx_str_t                 id, seq;
    ngx_chat_engine_reply_t  *e;

    e = ngx_chat_engine_item(ngx_chat_link_entries(reply), n);

    if (e == NULL) {
        return NGX_DONE;
    }

    memset(entry, 0, sizeof(ngx_chat_link_entry_t));

    id = ngx_chat_engine_text(ngx_chat_engine_item(e, 0));
    p = id.len ? memchr(id.data, '-', id.len) : NULL;

    if (p == NULL) {
        return NGX_ERROR;
    }

    seq.data = p + 1;
    seq.len = id.data + id.len - seq.data;
    id.len = p - id.data;

    if (ngx_chat_link_read_number(&id, 0, &entry->term) != NGX_OK
        || ngx_chat_link_read_number(&seq, 0, &entry->seq) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_chat_link_read_fields(ngx_chat_engine_item(e, 1), entry);
}


static ngx_int_t
ngx_chat_link_read_fields(ngx_chat_engine_reply_t *fields,
    ngx_chat_link_entry_t *entry)
{
    uint64_t    time;
    ngx_int_t   rc;
    ngx_str_t   name, value;
    ngx_uint_t  i, n;

    n = ngx_chat_engine_count(fields);
    time = 0;
    rc = NGX_OK;

    for (i = 0; i + 1 < n && rc == NGX_OK; i += 2) {
        name = ngx_chat_engine_text(ngx_chat_engine_item(fields, i));
        value = ngx_chat_engine_text(ngx_chat_engine_item(fields, i + 1));

        switch (name.len == 1 ? name.data[0] : 0) {

        case 'n':
            rc = ngx_chat_link_read_number(&value, 1, &entry->node);
            break;

        case 'k':
            rc = ngx_chat_link_read_number(&value, 1, &entry->nonce);
            break;

        case 'p':
            rc = ngx_chat_link_read_number(&value, 1, &entry->previous);
            break;

        case 't':
            rc = ngx_chat_link_read_number(&value, 0, &time);
            break;

        case 'c':
            rc = ngx_chat_link_read_number(&value, 0, &entry->n);
            break;

        case 'd':
            entry->items = value;
            break;

        default:
            break;
        }
    }

    entry->time = (int64_t) time;

    return (rc == NGX_OK && entry->nonce && entry->previous && entry->n
            && entry->n <= entry->seq && entry->items.len)
           ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_chat_link_incarnation(ngx_str_t *text, uint64_t *n)
{
    return ngx_chat_link_read_number(text, 1, n);
}


static ngx_int_t
ngx_chat_link_read_number(ngx_str_t *s, ngx_uint_t hex, uint64_t *n)
{
    char   text[NGX_CHAT_LINK_WORD], *end;

    if (s->len == 0 || s->len >= sizeof(text)
        || (hex && s->len != 16)
        || strspn((char *) s->data, hex ? "0123456789abcdef" : "0123456789")
           < s->len)
    {
        return NGX_ERROR;
    }

    memcpy(text, s->data, s->len);
    text[s->len] = '\0';

    errno = 0;
    *n = strtoull(text, &end, hex ? 16 : 10);

    return (errno == 0 && *end == '\0'
            && (hex || *n <= (uint64_t) NGX_CHAT_LINK_MAX))
           ? NGX_OK : NGX_ERROR;
}
