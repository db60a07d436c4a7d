
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Signatures of subscriptions and sign-ins: made and checked (Pusher
 * protocol, sections 3.3 and 5.1).  Pure.
 *
 * A subscription is signed by its channel and its channel_data; data->data is
 * NULL where no channel_data was given.  A sign-in has no channel (NULL), and
 * data is its user_data.  Data is signed byte for byte as it came.
 *
 * What is signed is never put together in a buffer, so it may be of any
 * length.
 *
 * A channel's name must have passed ngx_chat_name_check(): one with a colon
 * could make the text of another channel with data, or of a sign-in.
 */


#ifndef _NGX_CHAT_SIGNATURE_H_INCLUDED_
#define _NGX_CHAT_SIGNATURE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <wire/ngx_chat_envelope.h>
#include <pusher/ngx_chat_app.h>
#include <pusher/ngx_chat_digest.h>


#define NGX_CHAT_SIGNATURE_LEN  NGX_CHAT_DIGEST_HMAC_HEX

/* What write() writes: KEY:SIGNATURE. */
#define NGX_CHAT_SIGNATURE_AUTH_LEN(app)                                      \
    ((app)->key.len + 1 + NGX_CHAT_SIGNATURE_LEN)


/*
 * The two sides of the first colon of an auth; NGX_DECLINED where it has
 * none, and all of it is the key.
 */
ngx_int_t ngx_chat_signature_split(ngx_str_t *auth, ngx_str_t *key,
    ngx_str_t *signature);

/*
 * NGX_OK; NGX_DECLINED where the key is not the app's; NGX_ERROR where the
 * signature is wrong, or there is none.
 */
ngx_int_t ngx_chat_signature_check(ngx_chat_app_t *app, ngx_str_t *auth,
    ngx_chat_socket_id_t *id, ngx_str_t *channel, ngx_str_t *data);

/*
 * Writes an auth of NGX_CHAT_SIGNATURE_AUTH_LEN(app) bytes, returns its end;
 * NULL where libcrypto has no memory.
 */
u_char *ngx_chat_signature_write(u_char *p, ngx_chat_app_t *app,
    ngx_chat_socket_id_t *id, ngx_str_t *channel, ngx_str_t *data);

/*
 * What has to be signed, for the text of an error; cut at size bytes, maybe
 * inside a character.  Returns the length.
 */
size_t ngx_chat_signature_text(u_char *buf, size_t size,
    ngx_chat_socket_id_t *id, ngx_str_t *channel, ngx_str_t *data);

/*
 * Adds to such a text of len bytes what came instead: ", but got " and the
 * auth's signature; an auth that was not given is empty.  Returns the length
 * of all, at most size.
 */
size_t ngx_chat_signature_text_got(u_char *buf, size_t len, size_t size,
    ngx_str_t *auth);


#endif /* _NGX_CHAT_SIGNATURE_H_INCLUDED_ */
