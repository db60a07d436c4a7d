
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A hash of names that clients choose: SipHash-2-4, with a secret key, so
 * that nobody can choose names that collide.  Pure.
 */


#ifndef _NGX_CHAT_HASH_H_INCLUDED_
#define _NGX_CHAT_HASH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef struct {
    uint64_t           k[2];           /* the key's 16 bytes, read as
                                          little-endian numbers */
} ngx_chat_hash_key_t;


/* The 64 bits of SipHash-2-4. */
uint64_t ngx_chat_hash(ngx_chat_hash_key_t *key, u_char *p, size_t len);


#endif /* _NGX_CHAT_HASH_H_INCLUDED_ */
