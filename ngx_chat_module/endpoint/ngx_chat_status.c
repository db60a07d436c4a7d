
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Counters as JSON.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <endpoint/ngx_chat_reply.h>
#include <ngx_chat_module.h>
#include <wire/ngx_chat_json_write.h>


typedef struct {
    uint64_t           counters[NGX_CHAT_COUNTERS_e];
    ngx_uint_t         channels;
    ngx_uint_t         members;
    ngx_uint_t         workers;
    uint64_t           position;
    size_t             used;
    size_t             size;
} ngx_chat_status_t;


static void ngx_chat_status_collect(ngx_chat_zone_t *zone,
    ngx_chat_status_t *st);
static ssize_t ngx_chat_status_render(ngx_chat_status_t *st, u_char *buf,
    size_t size);


static const char  *ngx_chat_status_names[] = {
    "connections",
    "subscriptions",
    "connections_total",
    "commands_total",
    "events_total",
    "deliveries_total",
    "messages_stored",
    "slow_subscribers_closed",
    "overruns",
    "connections_refused",
    "unavailable_answers"
};


ngx_int_t
ngx_chat_status_handler(ngx_http_request_t *r)
{
    ssize_t                len;
    ngx_str_t              json;
    ngx_chat_status_t      st;
    ngx_chat_main_conf_t  *cmcf;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return ngx_chat_reply_not_allowed(r, "GET, HEAD");
    }

    cmcf = ngx_http_get_module_main_conf(r, ngx_chat_module);

    ngx_chat_status_collect(cmcf->zone, &st);

    len = ngx_chat_status_render(&st, NULL, 0);

    if (len == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json.len = len;
    json.data = ngx_pnalloc(r->pool, len);

    if (json.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    (void) ngx_chat_status_render(&st, json.data, len);

    return ngx_chat_reply_send(r, NGX_HTTP_OK, &json);
}


static void
ngx_chat_status_collect(ngx_chat_zone_t *zone, ngx_chat_status_t *st)
{
    ngx_uint_t           i;
    ngx_chat_zone_sh_t  *sh;

    ngx_chat_zone_count(zone, st->counters);

    sh = zone->sh;

    ngx_chat_zone_lock(zone);

    st->channels = sh->nchannels;
    st->members = sh->nmembers;
    st->position = ngx_chat_ring_head(sh->ring);
    st->used = sh->arena->used;
    st->size = sh->arena->size;
    st->workers = 0;

    for (i = 0; i < sh->nslots; i++) {
        st->workers += (sh->slots[i].pid != 0);
    }

    ngx_chat_zone_unlock(zone);
}


static ssize_t
ngx_chat_status_render(ngx_chat_status_t *st, u_char *buf, size_t size)
{
    ngx_uint_t             i;
    ngx_chat_json_write_t  w;

    (void) ngx_chat_json_write_init(&w, buf, size);

    ngx_chat_json_write_object(&w);

    ngx_chat_json_write_key(&w, "workers");
    ngx_chat_json_write_uint(&w, st->workers);

    ngx_chat_json_write_key(&w, "channels");
    ngx_chat_json_write_uint(&w, st->channels);

    ngx_chat_json_write_key(&w, "members");
    ngx_chat_json_write_uint(&w, st->members);

    for (i = 0; i < NGX_CHAT_COUNTERS_e; i++) {
        ngx_chat_json_write_key(&w, ngx_chat_status_names[i]);
        ngx_chat_json_write_uint(&w, st->counters[i]);
    }

    ngx_chat_json_write_key(&w, "bus_position_bytes");
    ngx_chat_json_write_uint(&w, st->position);

    ngx_chat_json_write_key(&w, "zone_used_bytes");
    ngx_chat_json_write_uint(&w, st->used);

    ngx_chat_json_write_key(&w, "zone_size_bytes");
    ngx_chat_json_write_uint(&w, st->size);

    ngx_chat_json_write_object_end(&w);

    return ngx_chat_json_write_done(&w);
}
