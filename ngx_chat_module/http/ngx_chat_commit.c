
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A request that waits for the store.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_commit.h>
#include <http/ngx_chat_http_module.h>
#include <http/ngx_chat_wait.h>
#include <shared/ngx_chat_registry_query.h>


static ngx_chat_commit_t *ngx_chat_commit_create(ngx_http_request_t *r,
    ngx_chat_record_t *recs, ngx_chat_socket_id_t *excepts, ngx_uint_t n);
static void ngx_chat_commit_cleanup(void *data);
static void ngx_chat_commit_done(ngx_chat_write_t *w, ngx_int_t rc);
static ngx_int_t ngx_chat_commit_take(ngx_chat_commit_t *c,
    ngx_chat_write_t *w);


ngx_int_t
ngx_chat_commit(ngx_http_request_t *r, ngx_chat_record_t *recs,
    ngx_chat_socket_id_t *excepts, ngx_uint_t n, ngx_chat_request_pt handler,
    void *data)
{
    ngx_uint_t             i;
    ngx_chat_commit_t     *c;
    ngx_http_cleanup_t    *cln;
    ngx_chat_main_conf_t  *cmcf;

    cmcf = ngx_http_get_module_main_conf(r, ngx_chat_module);

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    c = ngx_chat_commit_create(r, recs, excepts, n);
    if (c == NULL) {
        return NGX_ERROR;
    }

    c->handler = handler;
    c->data = data;

    for (i = 0; i < n; i++) {

        if (ngx_chat_store_write(cmcf->live, c->writes[i]) != NGX_OK) {

            /* the store has freed this one, which is the first */

            while (++i < n) {
                ngx_free(c->writes[i]);
            }

            return NGX_BUSY;
        }
    }

    cln->handler = ngx_chat_commit_cleanup;
    cln->data = c;

    ngx_chat_request_suspend(r);

    return NGX_DONE;
}


static ngx_chat_commit_t *
ngx_chat_commit_create(ngx_http_request_t *r, ngx_chat_record_t *recs,
    ngx_chat_socket_id_t *excepts, ngx_uint_t n)
{
    ngx_uint_t          i;
    ngx_chat_write_t   *w;
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

    for (i = 0; i < n; i++) {

        w = ngx_chat_store_write_alloc(&recs[i], r->connection->log);
        if (w == NULL) {
            goto failed;
        }

        w->except = excepts[i];
        w->more = (i + 1 < n);
        w->done = ngx_chat_commit_done;
        w->data = c;

        c->writes[i] = w;
    }

    return c;

failed:

    while (i) {
        ngx_free(c->writes[--i]);
    }

    return NULL;
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


/* The store calls this for each write, in their order, on the event loop. */

static void
ngx_chat_commit_done(ngx_chat_write_t *w, ngx_int_t rc)
{
    ngx_chat_commit_t  *c;

    c = w->data;

    if (rc == NGX_OK) {
        rc = ngx_chat_commit_take(c, w);
    }

    if (rc != NGX_OK) {
        c->rc = rc;
    }

    if (++c->ndone == c->n) {
        ngx_chat_request_resume(c->request, c->handler, c);
    }
}


static ngx_int_t
ngx_chat_commit_take(ngx_chat_commit_t *c, ngx_chat_write_t *w)
{
    ngx_chat_main_conf_t      *cmcf;
    ngx_chat_commit_result_t  *result;

    cmcf = ngx_http_get_module_main_conf(c->request, ngx_chat_module);

    ngx_chat_registry_query_slots(cmcf->zone, w->record.app, &w->record.channel,
                                  c->slots);

    /* the event of a repeated one is in the ring, perhaps not delivered yet */

    c->position = w->record.repeated ? ngx_chat_ring_head(cmcf->zone->sh->ring)
                                     : ngx_max(c->position, w->position);

    result = &c->results[c->ndone];

    result->id = w->record.id;
    result->repeated = w->record.repeated;
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
