
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What another node lacks, and the log does not have any more, is given to it:
 * a chunk in each step of the back, as long as the other one takes them.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <store/ngx_chat_back_work.h>
#include <store/ngx_chat_history.h>
#include <wire/ngx_chat_clock.h>
#include <wire/ngx_chat_failpoint.h>


#define NGX_CHAT_BACK_CHUNK   (256 * 1024)     /* bytes: with the message that
                                                  reaches this it ends */
#define NGX_CHAT_BACK_ANSWER  (32 * 1024 * 1024)   /* bytes: no more messages
                                                      of a chunk than that */
#define NGX_CHAT_BACK_CHUNKS  8        /* that wait to be taken */
#define NGX_CHAT_BACK_GIVE    30000    /* ms that none is taken: there is nobody
                                          any more */


static ngx_int_t ngx_chat_back_give_chunk(ngx_chat_back_t *b);
static ngx_int_t ngx_chat_back_give_page(ngx_chat_back_t *b);
static ngx_int_t ngx_chat_back_give_row(void *data, ngx_chat_record_t *rec);


ngx_int_t
ngx_chat_back_asked(ngx_chat_back_t *b)
{
    ngx_int_t              rc;
    ngx_chat_back_give_t  *g;

    g = &b->give;

    if (g->fill.id || b->arriving) {
        return NGX_OK;
    }

    rc = ngx_chat_link_fill_asked(&b->link, b->sh->incarnation, &g->fill);

    if (rc != NGX_OK || g->fill.id == 0) {
        return (rc == NGX_ERROR) ? NGX_ERROR : NGX_OK;
    }

    g->n = 0;
    g->messages = 0;
    g->until = ngx_chat_clock_msec() + NGX_CHAT_BACK_GIVE;

    ngx_log_error(NGX_LOG_NOTICE, b->log, 0,
                  "chat cluster: another node is given the messages behind %uL",
                  g->fill.since);

    return NGX_OK;
}


ngx_int_t
ngx_chat_back_give(ngx_chat_back_t *b)
{
    ngx_int_t              rc;
    ngx_uint_t             waiting;
    ngx_chat_back_give_t  *g;

    g = &b->give;

    if (g->fill.id == 0) {
        return NGX_OK;
    }

    rc = ngx_chat_link_fill_waiting(&b->link, &g->fill, &waiting);

    if (rc == NGX_OK && waiting < NGX_CHAT_BACK_CHUNKS) {
        g->until = ngx_chat_clock_msec() + NGX_CHAT_BACK_GIVE;
        rc = ngx_chat_back_give_chunk(b);

    } else if (rc == NGX_OK && ngx_chat_clock_msec() >= g->until) {
        ngx_log_error(NGX_LOG_WARN, b->log, 0,
                      "chat cluster: another node does not take the messages "
                      "that it wants");

        rc = ngx_chat_link_fill_end(&b->link, &g->fill);
        g->fill.id = 0;
    }

    /* who wanted them has left, or asks somebody else */

    if (rc == NGX_DONE) {
        g->fill.id = 0;
        return NGX_OK;
    }

    /* who wants them asks again */

    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_WARN, b->log, 0,
                      "chat cluster: another node can't be given messages: %s",
                      b->link.engine.error);

        g->fill.id = 0;
        rc = NGX_OK;
    }

    return rc;
}


/* NGX_OK; NGX_DONE: nobody wants it; NGX_DECLINED: the engine takes none;
   NGX_AGAIN, NGX_ERROR. */

static ngx_int_t
ngx_chat_back_give_chunk(ngx_chat_back_t *b)
{
    ngx_int_t               rc;
    ngx_chat_back_give_t   *g;
    ngx_chat_link_chunk_t   chunk;

    g = &b->give;
    g->whole = 1;
    g->alloc = NGX_CHAT_BACK_CHUNK;
    g->items.len = 0;
    g->items.data = malloc(g->alloc);

    if (g->items.data == NULL) {
        return ngx_chat_back_failed(b, "out of memory");
    }

    rc = ngx_chat_back_locked(b, ngx_chat_back_give_page);

    if (rc == NGX_OK) {
        ngx_memzero(&chunk, sizeof(ngx_chat_link_chunk_t));
        chunk.items = g->items;

        if (g->whole) {
            chunk.place = b->place;
        }

        rc = ngx_chat_link_fill_give(&b->link, &g->fill, ++g->n, &chunk);
        rc = (rc == NGX_AGAIN) ? NGX_DONE : rc;
    }

    free(g->items.data);

    ngx_chat_failpoint("back gave");

    if (rc == NGX_OK && g->whole) {
        ngx_log_error(NGX_LOG_NOTICE, b->log, 0,
                      "chat cluster: another node was given %ui messages, up "
                      "to %uL", g->messages, b->place.seq);

        g->fill.id = 0;
    }

    return rc;
}


/* With the write lock. */

static ngx_int_t
ngx_chat_back_give_page(ngx_chat_back_t *b)
{
    return ngx_chat_history_since(&b->handle.db, b->give.fill.since,
                                  ngx_chat_back_give_row, b);
}


/* A ngx_chat_history_row_pt. */

static ngx_int_t
ngx_chat_back_give_row(void *data, ngx_chat_record_t *rec)
{
    ngx_chat_back_t *b = data;

    size_t                 len;
    u_char                *p;
    ngx_chat_log_item_t    item;
    ngx_chat_back_give_t  *g;

    g = &b->give;

    /* nginx beside this one, with the same database, may be further */

    if (rec->id > b->place.seq) {
        return NGX_DONE;
    }

    if (ngx_chat_back_old_item(b, rec, &item) != NGX_OK) {
        g->fill.since = rec->id;
        return NGX_OK;
    }

    len = g->items.len + ngx_chat_log_item_size(&item);

    if (g->items.len && len > NGX_CHAT_BACK_ANSWER) {
        g->whole = 0;
        return NGX_DONE;
    }

    g->fill.since = rec->id;

    if (len > g->alloc) {
        p = realloc(g->items.data, len);

        if (p == NULL) {
            return NGX_ERROR;
        }

        g->items.data = p;
        g->alloc = len;
    }

    (void) ngx_chat_log_item_pack(g->items.data + g->items.len, &item);

    g->items.len = len;
    g->messages++;
    g->whole = (len < NGX_CHAT_BACK_CHUNK);

    return g->whole ? NGX_OK : NGX_DONE;
}
