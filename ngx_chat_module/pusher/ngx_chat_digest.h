
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The digests that the protocol signs with.  Pure.
 *
 * The first use makes libcrypto's contexts, and they are kept: making them
 * costs more than the digest of a request.  So only the event loop's thread
 * may call these functions.
 */


#ifndef _NGX_CHAT_DIGEST_H_INCLUDED_
#define _NGX_CHAT_DIGEST_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_CHAT_DIGEST_HMAC_HEX  64
#define NGX_CHAT_DIGEST_MD5_HEX   32


/*
 * HEX(HMAC-SHA256(key, parts one after the other)) and HEX(MD5(text)), in
 * lower case, into as many bytes as named above.  NGX_ERROR where libcrypto
 * fails, such as without memory; out is untouched then.
 */
ngx_int_t ngx_chat_digest_hmac(u_char *out, ngx_str_t *key, ngx_str_t *parts,
    ngx_uint_t n);
ngx_int_t ngx_chat_digest_md5(u_char *out, ngx_str_t *text);

/* In exit_process: frees what is kept. */
void ngx_chat_digest_exit(void);


#endif /* _NGX_CHAT_DIGEST_H_INCLUDED_ */
