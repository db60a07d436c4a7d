
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * chat_status as JSON.
 */


#ifndef _NGX_CHAT_STATUS_JSON_H_INCLUDED_
#define _NGX_CHAT_STATUS_JSON_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_status_table.h>


/*
 * Returns the length, and writes where buf is not NULL; NGX_ERROR: it is
 * longer than size.
 */
ssize_t ngx_chat_status_json(ngx_chat_status_t *st, u_char *buf, size_t size);


#endif /* _NGX_CHAT_STATUS_JSON_H_INCLUDED_ */
