
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The idempotency key of a request, and the name under which its answer is
 * kept (shared/ngx_chat_idempotency.h).
 */


#ifndef _NGX_CHAT_IDEMPOTENCY_KEY_H_INCLUDED_
#define _NGX_CHAT_IDEMPOTENCY_KEY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <pusher/ngx_chat_app.h>
#include <shared/ngx_chat_idempotency.h>


#define NGX_CHAT_IDEMPOTENCY_KEY_MAX  255


/*
 * Begins a request on what (an endpoint, a channel): a key counts for requests
 * on the same thing only.  Where key->data is NULL, the key is that of the
 * header Idempotency-Key; without either id->name is empty.  Returns what
 * ngx_chat_idempotency_begin() returns, or NGX_DECLINED: the key is empty or
 * longer than NGX_CHAT_IDEMPOTENCY_KEY_MAX.
 */
ngx_int_t ngx_chat_idempotency_key_begin(ngx_http_request_t *r,
    ngx_chat_idempotency_t *id, ngx_chat_app_t *app, ngx_str_t *what,
    ngx_str_t *key, ngx_str_t *answer);


#endif /* _NGX_CHAT_IDEMPOTENCY_KEY_H_INCLUDED_ */
