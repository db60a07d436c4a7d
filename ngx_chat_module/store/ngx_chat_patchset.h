
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Whether bytes are a patchset of the tables of webhooks.  Pure.
 *
 * They come from a cluster's log, and SQLite's own reader of patchsets takes
 * what is well-formed for granted: by a single wrong byte it may be kept for
 * ever (seen with 3.40).
 */


#ifndef _NGX_CHAT_PATCHSET_H_INCLUDED_
#define _NGX_CHAT_PATCHSET_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* The name of a table, by its number from 0 on; NULL behind the last one. */
const char *ngx_chat_patchset_name(ngx_uint_t i);

/*
 * NGX_OK: each table is one of them, with the columns that sql/ has, each value
 * lies within the bytes, and of meta only keys of webhooks change.
 * NGX_DECLINED: not so.
 */
ngx_int_t ngx_chat_patchset_check(ngx_str_t *patchset);


#endif /* _NGX_CHAT_PATCHSET_H_INCLUDED_ */
