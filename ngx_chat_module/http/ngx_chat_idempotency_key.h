
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The idempotency key of a request, as a digest.  Whoever finds the same digest
 * within NGX_CHAT_KEYS_AGE has the same request again.
 *
 * Messages and triggered events that are stored have it in the database, as
 * the key of their record (store/ngx_chat_batch.h); other triggers have it in
 * shared memory (shared/ngx_chat_idempotency.h).
 */


#ifndef _NGX_CHAT_IDEMPOTENCY_KEY_H_INCLUDED_
#define _NGX_CHAT_IDEMPOTENCY_KEY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <pusher/ngx_chat_app.h>
#include <store/ngx_chat_keys.h>


#define NGX_CHAT_IDEMPOTENCY_KEY_MAX  255


/*
 * Makes the digest, NGX_CHAT_KEYS_LEN bytes, of a request on what (an endpoint,
 * a channel): a key counts for requests of one app on the same thing only.
 * Where key->data is NULL, the key is that of the header Idempotency-Key.
 * NGX_OK; NGX_DONE: the request has no key; NGX_DECLINED: the key is empty or
 * longer than NGX_CHAT_IDEMPOTENCY_KEY_MAX; NGX_ERROR: no memory.
 */
ngx_int_t ngx_chat_idempotency_key_read(ngx_http_request_t *r, u_char *digest,
    ngx_chat_app_t *app, ngx_str_t *what, ngx_str_t *key);

/* The digest of n parts one after the other.  NGX_OK or NGX_ERROR. */
ngx_int_t ngx_chat_idempotency_key_digest(u_char *digest, ngx_chat_app_t *app,
    ngx_str_t *parts, ngx_uint_t n);


#endif /* _NGX_CHAT_IDEMPOTENCY_KEY_H_INCLUDED_ */
