
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Messages: POST stores one and triggers its event.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_body.h>
#include <http/ngx_chat_commit.h>
#include <http/ngx_chat_handlers.h>
#include <http/ngx_chat_http_module.h>
#include <http/ngx_chat_idempotency_key.h>
#include <http/ngx_chat_reply.h>
#include <http/ngx_chat_variable.h>
#include <http/ngx_chat_wait.h>
#include <pusher/ngx_chat_name.h>
#include <wire/ngx_chat_message.h>
#include <wire/ngx_chat_utf8.h>


#define NGX_CHAT_POST_MESSAGE_AUTHOR  1024


static ngx_int_t ngx_chat_post_message(ngx_http_request_t *r);
static ngx_int_t ngx_chat_post_message_body(ngx_http_request_t *r, void *data);
static ngx_int_t ngx_chat_post_message_take(ngx_http_request_t *r, void *data);
static ngx_int_t ngx_chat_post_message_read(ngx_http_request_t *r,
    ngx_chat_body_t *body, ngx_chat_message_post_t *post);
static ngx_int_t ngx_chat_post_message_too_long(ngx_http_request_t *r,
    size_t max);
static ngx_int_t ngx_chat_post_message_record(ngx_http_request_t *r,
    ngx_chat_record_t *rec, ngx_chat_message_post_t *post);
static const char *ngx_chat_post_message_check_record(ngx_chat_record_t *rec);
static void ngx_chat_post_message_except(ngx_http_request_t *r,
    ngx_chat_message_post_t *post, ngx_chat_socket_id_t *except);
static ngx_int_t ngx_chat_post_message_store(ngx_http_request_t *r,
    ngx_chat_record_t *rec, ngx_chat_socket_id_t *except);
static ngx_int_t ngx_chat_post_message_key(ngx_http_request_t *r,
    ngx_chat_record_t *rec);
static ngx_int_t ngx_chat_post_message_done(ngx_http_request_t *r, void *data);
static ngx_int_t ngx_chat_post_message_answer(ngx_http_request_t *r,
    void *data);


ngx_int_t
ngx_chat_messages_handler(ngx_http_request_t *r)
{
    ngx_chat_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);

    if (clcf->history && (r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return ngx_chat_get_history(r);
    }

    if (clcf->publish && r->method == NGX_HTTP_POST) {
        return ngx_chat_post_message(r);
    }

    if (clcf->history && clcf->publish) {
        return ngx_chat_reply_not_allowed(r, "GET, HEAD, POST");
    }

    return ngx_chat_reply_not_allowed(r, clcf->history ? "GET, HEAD"
                                                       : "POST");
}


static ngx_int_t
ngx_chat_post_message(ngx_http_request_t *r)
{
    ngx_uint_t   json;
    const char  *error;

    error = ngx_chat_request_body_type(r, &json);

    if (error) {
        return ngx_chat_reply_error(r, NGX_HTTP_UNSUPPORTED_MEDIA_TYPE, error);
    }

    return ngx_chat_body_read(r, ngx_chat_body_max(r, 4096),
                              ngx_chat_post_message_body, NULL);
}


/* A ngx_chat_request_pt. */

static ngx_int_t
ngx_chat_post_message_body(ngx_http_request_t *r, void *data)
{
    return ngx_chat_wait_before_publish(r, ngx_chat_reply_error,
                                        ngx_chat_post_message_take, data);
}


/* A ngx_chat_request_pt. */

static ngx_int_t
ngx_chat_post_message_take(ngx_http_request_t *r, void *data)
{
    ngx_int_t                rc;
    const char              *error;
    ngx_chat_record_t        rec;
    ngx_chat_loc_conf_t     *clcf;
    ngx_chat_socket_id_t     except;
    ngx_chat_message_post_t  post;

    static ngx_str_t  blank = ngx_string("{\"content\":[\"can't be blank\"]}");

    clcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);

    rc = ngx_chat_post_message_read(r, data, &post);

    if (rc == NGX_DECLINED) {
        return ngx_chat_reply_error(r, NGX_HTTP_BAD_REQUEST, post.error);
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (post.blank) {
        return ngx_chat_reply_send(r, 422, &blank);
    }

    if (post.content.len > clcf->max_message_size) {
        return ngx_chat_post_message_too_long(r, clcf->max_message_size);
    }

    if (ngx_chat_post_message_record(r, &rec, &post) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_chat_post_message_except(r, &post, &except);

    error = ngx_chat_post_message_check_record(&rec);

    if (error) {
        return ngx_chat_reply_error(r, NGX_HTTP_BAD_REQUEST, error);
    }

    ngx_chat_variable_note(r, &clcf->publish->ref.app->id, &rec.channel,
                           &rec.event, &except, NULL);

    return ngx_chat_post_message_store(r, &rec, &except);
}


static ngx_int_t
ngx_chat_post_message_read(ngx_http_request_t *r, ngx_chat_body_t *body,
    ngx_chat_message_post_t *post)
{
    ngx_uint_t       is_json;
    ngx_chat_json_t  json;

    (void) ngx_chat_request_body_type(r, &is_json);

    ngx_chat_request_json(r->pool, &json);

    if (is_json) {
        return ngx_chat_message_read_json(post, &json, body->start,
                                          body->len);
    }

    return ngx_chat_message_read_form(post, &json, body->start, body->len);
}


static ngx_int_t
ngx_chat_post_message_too_long(ngx_http_request_t *r, size_t max)
{
    u_char     *p;
    ngx_str_t   json;

    static u_char  text[] =
        "{\"content\":[\"is too long (maximum is %uz bytes)\"]}";

    p = ngx_pnalloc(r->pool, sizeof(text) + NGX_SIZE_T_LEN);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json.data = p;
    json.len = ngx_sprintf(p, (char *) text, max) - p;

    return ngx_chat_reply_send(r, 422, &json);
}


/* Evaluates what the configuration says of the message. */

static ngx_int_t
ngx_chat_post_message_record(ngx_http_request_t *r, ngx_chat_record_t *rec,
    ngx_chat_message_post_t *post)
{
    ngx_chat_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);

    ngx_memzero(rec, sizeof(ngx_chat_record_t));

    rec->app = clcf->publish->ref.app->number;
    rec->content = post->content;

    if (ngx_http_complex_value(r, &clcf->publish->channel, &rec->channel)
        != NGX_OK
        || ngx_http_complex_value(r, &clcf->publish->event, &rec->event)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (clcf->author == NULL) {
        return NGX_OK;
    }

    return ngx_http_complex_value(r, clcf->author, &rec->author);
}


/* NULL, or what is wrong. */

static const char *
ngx_chat_post_message_check_record(ngx_chat_record_t *rec)
{
    if (ngx_chat_name_check(&rec->channel) != NGX_OK) {
        return "channel name is not valid";
    }

    if (ngx_chat_name_check_event(&rec->event) != NGX_OK) {
        return "event name is not valid";
    }

    if (rec->author.len > NGX_CHAT_POST_MESSAGE_AUTHOR
        || ngx_chat_utf8_check(rec->author.data, rec->author.len) != NGX_OK)
    {
        return "author is not valid";
    }

    return NULL;
}


/*
 * Reads the socket that gets no copy from the body, else from the header.  A
 * page that is not connected sends "undefined", "null" or nothing in its
 * place.  Such a text excludes nobody: the message counts.
 */

static void
ngx_chat_post_message_except(ngx_http_request_t *r,
    ngx_chat_message_post_t *post, ngx_chat_socket_id_t *except)
{
    ngx_str_t  id;

    ngx_memzero(except, sizeof(ngx_chat_socket_id_t));

    id = post->socket_id;

    if (ngx_chat_name_read_socket_id(except, id.data, id.len) != NGX_OK
        && ngx_chat_request_header(r, "x-socket-id", &id) == NGX_OK)
    {
        (void) ngx_chat_name_read_socket_id(except, id.data, id.len);
    }
}


static ngx_int_t
ngx_chat_post_message_store(ngx_http_request_t *r, ngx_chat_record_t *rec,
    ngx_chat_socket_id_t *except)
{
    ngx_int_t  rc;

    rc = ngx_chat_post_message_key(r, rec);

    if (rc == NGX_DECLINED) {
        return ngx_chat_reply_error(r, NGX_HTTP_BAD_REQUEST,
                                    "Idempotency-Key is not valid");
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_chat_commit(r, rec, except, 1, ngx_chat_post_message_done, NULL);

    if (rc == NGX_DONE) {
        return NGX_DONE;
    }

    return (rc == NGX_BUSY)
           ? ngx_chat_reply_error(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                  "too many messages are waiting")
           : NGX_HTTP_INTERNAL_SERVER_ERROR;
}


/*
 * A key counts within a channel and for one author: another author's must
 * neither hide a message nor show one.
 */

static ngx_int_t
ngx_chat_post_message_key(ngx_http_request_t *r, ngx_chat_record_t *rec)
{
    u_char               *p;
    ngx_int_t             rc;
    ngx_str_t             what, header;
    ngx_chat_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);

    what.len = rec->channel.len + 1 + rec->author.len;
    what.data = ngx_pnalloc(r->pool, what.len);

    if (what.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(what.data, rec->channel.data, rec->channel.len);
    *p++ = '\n';

    if (rec->author.len) {
        ngx_memcpy(p, rec->author.data, rec->author.len);
    }

    ngx_str_null(&header);

    rc = ngx_chat_idempotency_key_read(r, rec->key, clcf->publish->ref.app,
                                       &what, &header);

    rec->keyed = (rc == NGX_OK);

    return (rc == NGX_DONE) ? NGX_OK : rc;
}


/* A ngx_chat_request_pt. */

static ngx_int_t
ngx_chat_post_message_done(ngx_http_request_t *r, void *data)
{
    ngx_chat_commit_t *c = data;

    ngx_str_t  *reply;

    reply = &c->results[0].reply;

    if (c->rc == NGX_OK && reply->data != NULL) {
        return ngx_chat_wait_for_delivery(r, c->slots, c->position,
                                          ngx_chat_post_message_answer, reply);
    }

    if (c->rc == NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (c->rc == NGX_ABORT) {
        return ngx_chat_reply_error(r, NGX_HTTP_GATEWAY_TIME_OUT,
                                    "the message may have been stored, repeat "
                                    "the request with its Idempotency-Key");
    }

    return ngx_chat_reply_error(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                "the message can't be stored now");
}


/* A ngx_chat_request_pt. */

static ngx_int_t
ngx_chat_post_message_answer(ngx_http_request_t *r, void *data)
{
    return ngx_chat_reply_send(r, NGX_HTTP_CREATED, data);
}
