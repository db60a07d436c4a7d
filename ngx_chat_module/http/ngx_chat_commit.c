
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A request that waits for the store.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_commit.h>
#include <http/ngx_chat_http.h>
#include <http/ngx_chat_wait.h>
#include <shared/ngx_chat_lookup.h>


static ngx_chat_commit_t *ngx_chat_commit_create(ngx_http_request_t *r,
    ngx_uint_t n);
static ngx_int_t ngx_chat_commit_alloc(ngx_chat_commit_t *c,
    ngx_chat_record_t *recs, ngx_chat_socket_id_t *excepts);
static void ngx_chat_commit_free(ngx_chat_commit_t *c, ngx_uint_t from,
    ngx_uint_t to);
static void ngx_chat_commit_cleanup(void *data);
static void ngx_chat_commit_done(ngx_chat_write_t *w, ngx_int_t rc);
static ngx_int_t ngx_chat_commit_take(ngx_chat_commit_t *c,
    ngx_chat_write_t *w);


ngx_int_t
ngx_chat_commit(ngx_http_request_t *r, ngx_chat_store_t *st,
    ngx_chat_record_t *recs, ngx_chat_socket_id_t *excepts, ngx_uint_t n,
    ngx_chat_commit_pt handler, void *data)
{
    ngx_uint_t           i;
    ngx_chat_commit_t   *c;
    ngx_http_cleanup_t  *cln;

    c = ngx_chat_commit_create(r, n);
    cln = ngx_http_cleanup_add(r, 0);

    if (c == NULL || cln == NULL) {
        return NGX_ERROR;
    }

    c->handler = handler;
    c->data = data;

    if (ngx_chat_commit_alloc(c, recs, excepts) != NGX_OK) {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {

        if (ngx_chat_store_write(st, c->writes[i]) != NGX_OK) {
            ngx_chat_commit_free(c, i + 1, n);
            return NGX_BUSY;
        }
    }

    cln->handler = ngx_chat_commit_cleanup;
    cln->data = c;

    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    r->main->count++;

    return NGX_DONE;
}


static ngx_chat_commit_t *
ngx_chat_commit_create(ngx_http_request_t *r, ngx_uint_t n)
{
    ngx_chat_commit_t  *c;

    c = ngx_pcalloc(r->pool, sizeof(ngx_chat_commit_t)
                             + n * (sizeof(ngx_chat_commit_result_t)
                                    + sizeof(ngx_chat_write_t *)));
    if (c == NULL) {
        return NULL;
    }

    c->slots = ngx_chat_wait_slots(r);
    if (c->slots == NULL) {
        return NULL;
    }

    c->request = r;
    c->n = n;
    c->results = (ngx_chat_commit_result_t *) (c + 1);
    c->writes = (ngx_chat_write_t **) (c->results + n);

    return c;
}


static ngx_int_t
ngx_chat_commit_alloc(ngx_chat_commit_t *c, ngx_chat_record_t *recs,
    ngx_chat_socket_id_t *excepts)
{
    ngx_uint_t         i;
    ngx_chat_write_t  *w;

    for (i = 0; i < c->n; i++) {

        w = ngx_chat_store_write_alloc(&recs[i],
                                       c->request->connection->log);
        if (w == NULL) {
            ngx_chat_commit_free(c, 0, i);
            return NGX_ERROR;
        }

        w->except = excepts[i];
        w->more = (i + 1 < c->n);
        w->done = ngx_chat_commit_done;
        w->data = c;

        c->writes[i] = w;
    }

    return NGX_OK;
}


static void
ngx_chat_commit_free(ngx_chat_commit_t *c, ngx_uint_t from, ngx_uint_t to)
{
    ngx_uint_t  i;

    for (i = from; i < to; i++) {
        ngx_free(c->writes[i]);
    }
}


/* nginx has ended the request; its messages are stored all the same. */

static void
ngx_chat_commit_cleanup(void *data)
{
    ngx_chat_commit_t *c = data;

    ngx_uint_t  i;

    for (i = c->ndone; i < c->n; i++) {
        c->writes[i]->data = NULL;
    }
}


/* They come in the order they went, on the event loop. */

static void
ngx_chat_commit_done(ngx_chat_write_t *w, ngx_int_t rc)
{
    ngx_chat_commit_t   *c;
    ngx_connection_t    *conn;
    ngx_http_request_t  *r;

    c = w->data;
    r = c->request;
    conn = r->connection;

    if (rc == NGX_OK) {
        rc = ngx_chat_commit_take(c, w);
    }

    if (rc != NGX_OK) {
        c->rc = rc;
    }

    if (++c->ndone < c->n) {
        return;
    }

    ngx_http_set_log_request(conn->log, r);

    rc = c->handler(r, c, c->rc);

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(conn);
}


static ngx_int_t
ngx_chat_commit_take(ngx_chat_commit_t *c, ngx_chat_write_t *w)
{
    ngx_chat_main_conf_t      *cmcf;
    ngx_chat_commit_result_t  *result;

    cmcf = ngx_http_get_module_main_conf(c->request, ngx_chat_module);

    ngx_chat_lookup_slots(cmcf->zone, w->record.app, &w->record.channel,
                          c->slots);
    c->position = ngx_max(c->position, w->position);

    result = &c->results[c->ndone];

    result->id = w->record.id;
    result->reply.len = w->reply.len;

    if (w->reply.data == NULL) {
        return NGX_OK;
    }

    result->reply.data = ngx_pnalloc(c->request->pool, w->reply.len);
    if (result->reply.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(result->reply.data, w->reply.data, w->reply.len);

    return NGX_OK;
}
