
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Handlers of requests, each in the .c file that has its name, but for the
 * messages': that is in ngx_chat_post_message.c.  The configuration puts them
 * into locations and phases.
 */


#ifndef _NGX_CHAT_HANDLERS_H_INCLUDED_
#define _NGX_CHAT_HANDLERS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <pusher/ngx_chat_app.h>
#include <store/ngx_chat_batch.h>


/* Content handlers; the messages' one gives GET and HEAD to get_history(). */
ngx_int_t ngx_chat_api_handler(ngx_http_request_t *r);
ngx_int_t ngx_chat_auth_handler(ngx_http_request_t *r);
ngx_int_t ngx_chat_messages_handler(ngx_http_request_t *r);
ngx_int_t ngx_chat_get_history(ngx_http_request_t *r);
ngx_int_t ngx_chat_status_handler(ngx_http_request_t *r);

/*
 * Answers GET with messages of a channel that the caller has chosen; max is the
 * most that the client may ask for, limit what it gets otherwise; with stale
 * set a node that is cut off answers with what it has.  404 where there is no
 * database.  Returns what a content handler returns.
 */
ngx_int_t ngx_chat_get_history_of(ngx_http_request_t *r, ngx_chat_app_t *app,
    ngx_str_t *channel, ngx_uint_t limit, ngx_uint_t max, ngx_uint_t stale);

/*
 * The same with what an app's webhooks have given up.  render() makes the JSON
 * of each event, on a thread; ngx_chat_history.h says what its record has.
 */
ngx_int_t ngx_chat_get_history_dead(ngx_http_request_t *r,
    ngx_chat_app_t *app, ngx_uint_t limit, ngx_uint_t max,
    ngx_chat_record_render_pt render);

/* In the preaccess phase: read the body of chat_auth; answer a preflight. */
ngx_int_t ngx_chat_auth_params_handler(ngx_http_request_t *r);
ngx_int_t ngx_chat_cors_handler(ngx_http_request_t *r);

/* In postconfiguration: adds the header filter of CORS. */
void ngx_chat_cors_init(void);


#endif /* _NGX_CHAT_HANDLERS_H_INCLUDED_ */
