
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * CORS answers (the Fetch standard, section 3.2) for the module's endpoints.
 */


#ifndef _NGX_CHAT_CORS_H_INCLUDED_
#define _NGX_CHAT_CORS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* In postconfiguration: the preflight's phase handler and a header filter. */
ngx_int_t ngx_chat_cors_init(ngx_conf_t *cf);


#endif /* _NGX_CHAT_CORS_H_INCLUDED_ */
