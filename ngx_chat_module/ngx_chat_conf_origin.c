
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Lists of origins in directives.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_origin.h>
#include <ngx_chat_conf_origin.h>


static char *ngx_chat_conf_origin(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_chat_origin_list_t *list, ngx_str_t *value);


/*
 * chat_cors and chat_origins; cmd->offset tells which.  cmd->post is set where
 * the words "off" and "credentials" have a meaning.
 */

char *
ngx_chat_conf_origins(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char *p = conf;

    char                    *rv;
    ngx_str_t               *value;
    ngx_uint_t               i;
    const char              *error;
    ngx_chat_origin_list_t  *list, **field;

    field = (ngx_chat_origin_list_t **) (p + cmd->offset);

    if (*field != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    list = ngx_pcalloc(cf->pool, sizeof(ngx_chat_origin_list_t));
    if (list == NULL) {
        return NGX_CONF_ERROR;
    }

    if (ngx_array_init(&list->origins, cf->pool, 2, sizeof(ngx_chat_origin_t))
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    *field = list;
    value = cf->args->elts;

    if (cmd->post != NULL
        && cf->args->nelts == 2
        && ngx_strcmp(value[1].data, "off") == 0)
    {
        return NGX_CONF_OK;
    }

    for (i = 1; i < cf->args->nelts; i++) {

        rv = ngx_chat_conf_origin(cf, cmd, list, &value[i]);
        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    error = list->credentials ? ngx_chat_origin_check_credentials(list) : NULL;

    if (error) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"credentials\" in \"%V\" are for the origins of "
                           "your pages only, %s", &cmd->name, error);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_chat_conf_origin(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_chat_origin_list_t *list, ngx_str_t *value)
{
    const char         *error;
    ngx_chat_origin_t  *o;

    if (ngx_strcmp(value->data, "off") == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           cmd->post ? "\"off\" in \"%V\" must stand alone"
                                     : "\"%V\" has no \"off\", write the "
                                       "pages that may connect, or \"*\" for "
                                       "all", &cmd->name);
        return NGX_CONF_ERROR;
    }

    if (ngx_strncasecmp(value->data, (u_char *) "credentials", 11) == 0
        && (value->len == 11 || value->data[11] == '='))
    {
        if (cmd->post && value->len == 11 && !list->credentials) {
            list->credentials = 1;
            return NGX_CONF_OK;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           cmd->post ? "invalid \"%V\" in \"%V\", write "
                                       "\"credentials\", once and without a "
                                       "value"
                                     : "\"%V\" is not for \"%V\", browsers "
                                       "send cookies with every WebSocket",
                           value, &cmd->name);
        return NGX_CONF_ERROR;
    }

    o = ngx_array_push(&list->origins);
    if (o == NULL) {
        return NGX_CONF_ERROR;
    }

    error = ngx_chat_origin_parse(o, value);

    if (error) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid origin \"%V\" in \"%V\", %s",
                           value, &cmd->name, error);
        return NGX_CONF_ERROR;
    }

    list->any |= o->any;

    return NGX_CONF_OK;
}
