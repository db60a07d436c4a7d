
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Patterns of channels in the configuration: names, or beginnings and "*".
 */


#ifndef _NGX_CHAT_CONF_PATTERN_H_INCLUDED_
#define _NGX_CHAT_CONF_PATTERN_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Adds a pattern of channels to an array of ngx_str_t.  Returns NGX_CONF_OK,
 * NGX_CONF_ERROR, or the end of a sentence.
 */
char *ngx_chat_conf_pattern(ngx_array_t *patterns, ngx_str_t *value);


#endif /* _NGX_CHAT_CONF_PATTERN_H_INCLUDED_ */
