
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The console's list of what went wrong lately, the newest first.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <console/ngx_chat_console.h>
#include <http/ngx_chat_http_module.h>
#include <http/ngx_chat_reply.h>
#include <shared/ngx_chat_incident.h>
#include <wire/ngx_chat_clock.h>
#include <wire/ngx_chat_message.h>


typedef struct {
    ngx_chat_incident_t       list[NGX_CHAT_INCIDENTS_e];
    ngx_uint_t                n;
} ngx_chat_console_incidents_t;


static void ngx_chat_console_incidents_sort(ngx_chat_console_incidents_t *in);
static void ngx_chat_console_incidents_write(ngx_chat_json_write_t *w,
    void *data);
static void ngx_chat_console_incidents_time(ngx_chat_json_write_t *w,
    const char *name, int64_t ms);


/* in the order of ngx_chat_incident_e; the page explains them */

static const char *const  ngx_chat_console_incident_kinds[] = {
    "database_open", "database_write", "database_read", "database_replaced",
    "store_queue_full", "thread_pool", "worker_died", "registry_wiped",
    "zone_full", "ring_overrun", "slow_client", "loop_stall",
    "webhook_failed", "webhook_dead",
    "cluster_out", "cluster_lost", "cluster_trimmed"
};


ngx_int_t
ngx_chat_console_incidents(ngx_http_request_t *r)
{
    ngx_uint_t                      i;
    ngx_chat_main_conf_t           *cmcf;
    ngx_chat_console_incidents_t   *in;

    cmcf = ngx_http_get_module_main_conf(r, ngx_chat_module);

    in = ngx_palloc(r->pool, sizeof(ngx_chat_console_incidents_t));
    if (in == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    in->n = 0;

    for (i = 0; i < NGX_CHAT_INCIDENTS_e; i++) {
        if (ngx_chat_incident_get(cmcf->zone, i, &in->list[in->n]) == NGX_OK) {
            in->n++;
        }
    }

    ngx_chat_console_incidents_sort(in);

    return ngx_chat_reply_render(r, NGX_HTTP_OK,
                                 ngx_chat_console_incidents_write, in);
}


static void
ngx_chat_console_incidents_sort(ngx_chat_console_incidents_t *in)
{
    ngx_uint_t           i, k;
    ngx_chat_incident_t  one;

    for (i = 1; i < in->n; i++) {
        one = in->list[i];

        for (k = i; k > 0 && in->list[k - 1].last < one.last; k--) {
            in->list[k] = in->list[k - 1];
        }

        in->list[k] = one;
    }
}


static void
ngx_chat_console_incidents_write(ngx_chat_json_write_t *w, void *data)
{
    ngx_chat_console_incidents_t *in = data;

    ngx_str_t             detail;
    ngx_uint_t            i;
    ngx_chat_incident_t  *one;

    ngx_chat_json_write_object(w);
    ngx_chat_console_incidents_time(w, "now", ngx_chat_clock_wall());
    ngx_chat_json_write_key(w, "incidents");
    ngx_chat_json_write_array(w);

    for (i = 0; i < in->n; i++) {
        one = &in->list[i];

        ngx_chat_json_write_object(w);
        ngx_chat_json_write_key(w, "kind");
        ngx_chat_json_write_cstring(w,
                               ngx_chat_console_incident_kinds[one->kind]);
        ngx_chat_json_write_key_uint(w, "count", one->count);
        ngx_chat_console_incidents_time(w, "first", one->first);
        ngx_chat_console_incidents_time(w, "last", one->last);
        ngx_chat_json_write_key_uint(w, "pid", one->pid);
        ngx_chat_json_write_key(w, "detail");

        detail.data = one->detail;
        detail.len = one->len;
        ngx_chat_json_write_string(w, &detail);

        ngx_chat_json_write_object_end(w);
    }

    ngx_chat_json_write_array_end(w);
    ngx_chat_json_write_object_end(w);
}


static void
ngx_chat_console_incidents_time(ngx_chat_json_write_t *w, const char *name,
    int64_t ms)
{
    u_char     buf[NGX_CHAT_MESSAGE_TIME_LEN];
    ngx_str_t  time;

    time.data = buf;
    time.len = ngx_chat_message_write_time(buf, ms) - buf;

    ngx_chat_json_write_key(w, name);
    ngx_chat_json_write_string(w, &time);
}
