
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Visits of requests to the workers where their sessions live.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <fallback/ngx_chat_visit.h>


static ngx_int_t ngx_chat_visit_say(ngx_chat_visit_t *v);
static void ngx_chat_visit_read_handler(ngx_event_t *rev);
static void ngx_chat_visit_write_handler(ngx_event_t *wev);
static void ngx_chat_visit_answered(ngx_chat_visit_t *v, ngx_uint_t answer);
static void ngx_chat_visit_cleanup(void *data);


ngx_int_t
ngx_chat_visit_init(ngx_chat_visit_t *v, ngx_http_request_t *r)
{
    ngx_http_cleanup_t  *cln;

    cln = ngx_http_cleanup_add(r, 0);

    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_chat_visit_cleanup;
    cln->data = v;

    v->request = r;

    return NGX_OK;
}


ngx_int_t
ngx_chat_visit(ngx_chat_visit_t *v, ngx_chat_zone_t *zone,
    ngx_chat_slot_sh_t *slot, ngx_msec_t timeout)
{
    ngx_connection_t  *c;

    c = ngx_chat_door_connect(zone, slot, v->request->connection->log);

    if (c == NULL) {
        return NGX_ERROR;
    }

    v->connection = c;

    c->data = v;
    c->read->handler = ngx_chat_visit_read_handler;
    c->write->handler = ngx_chat_visit_write_handler;

    ngx_add_timer(c->read, timeout);

    if (ngx_chat_visit_say(v) != NGX_OK
        || ngx_handle_read_event(c->read, 0) != NGX_OK)
    {
        ngx_chat_visit_end(v);
        return NGX_ERROR;
    }

    ngx_chat_request_suspend(v->request);

    return NGX_OK;
}


void
ngx_chat_visit_end(ngx_chat_visit_t *v)
{
    if (v->connection) {
        ngx_close_connection(v->connection);
        v->connection = NULL;
    }
}


/* Sends what is left to be said; who does not want all of it answers so. */

static ngx_int_t
ngx_chat_visit_say(ngx_chat_visit_t *v)
{
    ssize_t            n;
    ngx_connection_t  *c;

    c = v->connection;

    while (v->pos < v->last) {

        n = c->send(c, v->pos, v->last - v->pos);

        if (n == NGX_AGAIN) {
            return ngx_handle_write_event(c->write, 0);
        }

        if (n <= 0) {
            v->pos = v->last;
            break;
        }

        v->pos += n;
    }

    return NGX_OK;
}


static void
ngx_chat_visit_read_handler(ngx_event_t *rev)
{
    u_char             answer;
    ssize_t            n;
    ngx_connection_t  *c;

    c = rev->data;

    if (rev->timedout) {
        ngx_log_error(NGX_LOG_ERR, c->log, NGX_ETIMEDOUT,
                      "chat worker did not answer");
        ngx_chat_visit_answered(c->data, 0);
        return;
    }

    if (c->close) {
        ngx_chat_visit_answered(c->data, 0);
        return;
    }

    n = c->recv(c, &answer, 1);

    if (n == NGX_AGAIN) {

        if (ngx_handle_read_event(rev, 0) != NGX_OK) {
            ngx_chat_visit_answered(c->data, 0);
        }

        return;
    }

    ngx_chat_visit_answered(c->data, (n == 1) ? answer : 0);
}


static void
ngx_chat_visit_write_handler(ngx_event_t *wev)
{
    ngx_connection_t  *c;

    c = wev->data;

    if (ngx_chat_visit_say(c->data) != NGX_OK) {
        ngx_chat_visit_answered(c->data, 0);
    }
}


static void
ngx_chat_visit_answered(ngx_chat_visit_t *v, ngx_uint_t answer)
{
    if (v->connection->read->timer_set) {
        ngx_del_timer(v->connection->read);
    }

    v->answer = answer;

    ngx_chat_request_resume(v->request, v->handler, v->data);
}


static void
ngx_chat_visit_cleanup(void *data)
{
    ngx_chat_visit_end(data);
}
