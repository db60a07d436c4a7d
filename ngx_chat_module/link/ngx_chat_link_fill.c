
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Fills: how a node gets from another one what the log does not have.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <link/ngx_chat_link_fill.h>
#include <link/ngx_chat_link_script.h>

#include <stdio.h>


#define NGX_CHAT_LINK_FILL_WORD   80       /* bytes of a place */


static ngx_int_t ngx_chat_link_fill_call(ngx_chat_link_t *l, ngx_str_t *words,
    ngx_uint_t n, ngx_chat_engine_reply_t **reply);
static ngx_int_t ngx_chat_link_fill_chunk(ngx_chat_engine_reply_t *reply,
    ngx_uint_t n, ngx_chat_link_chunk_t *chunk);


ngx_int_t
ngx_chat_link_fill_ask(ngx_chat_link_t *l, uint64_t node,
    ngx_chat_link_fill_t *fill)
{
    u_char      key[NGX_CHAT_LINK_NODE_KEY];
    u_char      name[NGX_CHAT_LINK_NUMBER];
    u_char      wish[NGX_CHAT_LINK_FILL_WORD];
    ngx_int_t   rc;
    ngx_str_t  *w, words[NGX_CHAT_LINK_SCRIPT_WORDS + 4];

    w = words + NGX_CHAT_LINK_SCRIPT_WORDS;

    w[0] = l->conf->fills;
    ngx_chat_link_name(&w[1], key, l->conf, "fill", fill->id);
    ngx_chat_link_number(&w[2], name, "%016xL", node);
    w[3].data = wish;
    w[3].len = ngx_snprintf(wish, sizeof(wish), "%016xL %uL", fill->id,
                            fill->since) - wish;

    rc = ngx_chat_link_script_run(&l->engine, NGX_CHAT_LINK_ASK_e, words, 2,
                                  NGX_CHAT_LINK_SCRIPT_WORDS + 4,
                                  NGX_CHAT_LINK_CALL, NULL);

    return (rc == NGX_OK || rc == NGX_ERROR) ? rc : NGX_DECLINED;
}


ngx_int_t
ngx_chat_link_fill_asked(ngx_chat_link_t *l, uint64_t node,
    ngx_chat_link_fill_t *fill)
{
    u_char                    name[NGX_CHAT_LINK_NUMBER];
    ngx_int_t                 rc;
    ngx_str_t                 words[3], text;
    unsigned long long        id, since;
    ngx_chat_engine_reply_t  *reply;

    ngx_memzero(fill, sizeof(ngx_chat_link_fill_t));

    ngx_str_set(&words[0], "HGET");
    words[1] = l->conf->fills;
    ngx_chat_link_number(&words[2], name, "%016xL", node);

    rc = ngx_chat_link_fill_call(l, words, 3, &reply);
    if (rc != NGX_OK) {
        return rc;
    }

    text = ngx_chat_engine_text(reply);

    if (text.len == 0) {
        ngx_chat_engine_free(reply);
        return NGX_OK;
    }

    /* hiredis puts a zero behind each string */

    if (sscanf((char *) text.data, "%16llx %llu", &id, &since) == 2) {
        fill->id = id;
        fill->since = since;
    }

    ngx_chat_engine_free(reply);
    ngx_str_set(&words[0], "HDEL");

    return ngx_chat_link_fill_call(l, words, 3, NULL);
}


ngx_int_t
ngx_chat_link_fill_waiting(ngx_chat_link_t *l, ngx_chat_link_fill_t *fill,
    ngx_uint_t *n)
{
    u_char                    key[NGX_CHAT_LINK_NODE_KEY];
    ngx_int_t                 rc;
    ngx_str_t                 words[2];
    ngx_chat_engine_reply_t  *reply;

    *n = 0;

    ngx_str_set(&words[0], "XLEN");
    ngx_chat_link_name(&words[1], key, l->conf, "fill", fill->id);

    rc = ngx_chat_link_fill_call(l, words, 2, &reply);

    if (rc == NGX_OK) {
        *n = ngx_max(ngx_chat_engine_number(reply), 0);
        ngx_chat_engine_free(reply);
    }

    return rc;
}


ngx_int_t
ngx_chat_link_fill_give(ngx_chat_link_t *l, ngx_chat_link_fill_t *fill,
    ngx_uint_t n, ngx_chat_link_chunk_t *chunk)
{
    u_char                  key[NGX_CHAT_LINK_NODE_KEY];
    u_char                  id[NGX_CHAT_LINK_NUMBER];
    u_char                  text[NGX_CHAT_LINK_FILL_WORD];
    ngx_str_t              *w, words[NGX_CHAT_LINK_SCRIPT_WORDS + 4];
    ngx_chat_link_place_t  *place;

    place = &chunk->place;
    w = words + NGX_CHAT_LINK_SCRIPT_WORDS;

    ngx_chat_link_name(&w[0], key, l->conf, "fill", fill->id);
    ngx_chat_link_number(&w[1], id, "1-%uL", n);
    w[2].data = text;
    w[2].len = ngx_snprintf(text, sizeof(text), "%uL %uL %016xL",
                            place->term, place->seq, place->nonce) - text;
    w[3] = chunk->items;

    return ngx_chat_link_script_run(&l->engine, NGX_CHAT_LINK_GIVE_e, words, 1,
                                    NGX_CHAT_LINK_SCRIPT_WORDS + 4,
                                    NGX_CHAT_LINK_CALL, NULL);
}


ngx_int_t
ngx_chat_link_fill_take(ngx_chat_link_t *l, ngx_chat_link_fill_t *fill,
    ngx_uint_t n, ngx_msec_t ms, ngx_chat_link_chunk_t *chunk)
{
    u_char                 key[NGX_CHAT_LINK_NODE_KEY];
    ngx_int_t              rc;
    ngx_str_t              stream;
    ngx_chat_link_place_t  place;

    ngx_memzero(chunk, sizeof(ngx_chat_link_chunk_t));
    ngx_memzero(&place, sizeof(ngx_chat_link_place_t));

    ngx_chat_link_name(&stream, key, l->conf, "fill", fill->id);
    place.term = 1;
    place.seq = n - 1;

    rc = ngx_chat_link_stream(l, &stream, &place, 1, ms, &chunk->reply);

    if (rc != NGX_OK) {
        return (rc == NGX_ERROR) ? NGX_ERROR : NGX_DECLINED;
    }

    rc = ngx_chat_engine_is_nil(chunk->reply)
         ? NGX_AGAIN : ngx_chat_link_fill_chunk(chunk->reply, n, chunk);

    if (rc != NGX_OK) {
        ngx_chat_engine_free(chunk->reply);
        chunk->reply = NULL;
    }

    return rc;
}


/* NGX_OK, NGX_DECLINED. */

static ngx_int_t
ngx_chat_link_fill_chunk(ngx_chat_engine_reply_t *reply, ngx_uint_t n,
    ngx_chat_link_chunk_t *chunk)
{
    ngx_str_t                 id, text;
    unsigned long long        term, seq, nonce;
    ngx_chat_engine_reply_t  *e, *fields;

    e = ngx_chat_engine_item(ngx_chat_link_entries(reply), 0);
    fields = ngx_chat_engine_item(e, 1);

    id = ngx_chat_engine_text(ngx_chat_engine_item(e, 0));
    text = ngx_chat_engine_text(ngx_chat_engine_item(fields, 1));
    chunk->items = ngx_chat_engine_text(ngx_chat_engine_item(fields, 3));

    if (id.len == 0 || text.len == 0
        || sscanf((char *) id.data, "1-%llu", &seq) != 1 || seq != n
        || sscanf((char *) text.data, "%llu %llu %16llx", &term, &seq, &nonce)
           != 3)
    {
        return NGX_DECLINED;
    }

    chunk->place.term = term;
    chunk->place.seq = seq;
    chunk->place.nonce = nonce;

    return (term <= (uint64_t) NGX_CHAT_LINK_MAX
            && seq <= (uint64_t) NGX_CHAT_LINK_MAX)
           ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_chat_link_fill_taken(ngx_chat_link_t *l, ngx_chat_link_fill_t *fill,
    ngx_uint_t n)
{
    u_char     key[NGX_CHAT_LINK_NODE_KEY];
    u_char     id[NGX_CHAT_LINK_NUMBER];
    ngx_str_t  words[3];

    ngx_str_set(&words[0], "XDEL");
    ngx_chat_link_name(&words[1], key, l->conf, "fill", fill->id);
    ngx_chat_link_number(&words[2], id, "1-%uL", n);

    return ngx_chat_link_fill_call(l, words, 3, NULL);
}


ngx_int_t
ngx_chat_link_fill_end(ngx_chat_link_t *l, ngx_chat_link_fill_t *fill)
{
    u_char     key[NGX_CHAT_LINK_NODE_KEY];
    ngx_str_t  words[2];

    ngx_str_set(&words[0], "DEL");
    ngx_chat_link_name(&words[1], key, l->conf, "fill", fill->id);

    return ngx_chat_link_fill_call(l, words, 2, NULL);
}


static ngx_int_t
ngx_chat_link_fill_call(ngx_chat_link_t *l, ngx_str_t *words, ngx_uint_t n,
    ngx_chat_engine_reply_t **reply)
{
    ngx_int_t                 rc;
    ngx_chat_engine_reply_t  *r;

    rc = ngx_chat_engine_call(&l->engine, words, n, NGX_CHAT_LINK_CALL, &r);

    if (rc == NGX_OK && reply) {
        *reply = r;

    } else if (rc == NGX_OK) {
        ngx_chat_engine_free(r);
    }

    return (rc == NGX_OK || rc == NGX_ERROR) ? rc : NGX_DECLINED;
}
