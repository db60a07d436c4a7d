
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Patterns of channels in the configuration.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <ngx_chat_conf_pattern.h>
#include <pusher/ngx_chat_name.h>


char *
ngx_chat_conf_pattern(ngx_array_t *patterns, ngx_str_t *value)
{
    ngx_str_t  *pattern, name;

    name = *value;

    if (name.len && name.data[name.len - 1] == '*') {
        name.len--;
    }

    if ((name.len || value->len == 0)
        && ngx_chat_name_check(&name) != NGX_OK)
    {
        return "must have names of channels, or their beginnings and "
               "\"*\"";
    }

    pattern = ngx_array_push(patterns);
    if (pattern == NULL) {
        return NGX_CONF_ERROR;
    }

    *pattern = *value;

    return NGX_CONF_OK;
}
