
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * chat_status as Prometheus text.
 */


#ifndef _NGX_CHAT_STATUS_PROMETHEUS_H_INCLUDED_
#define _NGX_CHAT_STATUS_PROMETHEUS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_status_table.h>


/* As ngx_chat_status_json(). */
ssize_t ngx_chat_status_prometheus(ngx_chat_status_t *st, u_char *buf,
    size_t size);


#endif /* _NGX_CHAT_STATUS_PROMETHEUS_H_INCLUDED_ */
