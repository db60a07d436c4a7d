
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The configuration as a whole, and the directives of the http block.
 *
 * Setters check what they can see.  What needs the whole file (apps, the
 * database, sizes against the zone) is checked when the file has been read;
 * for its messages the places of directives are kept.  What needs the worker's
 * user is checked when the zone is made, where a failing reload still leaves
 * the running configuration alone.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_client.h>
#include <http/ngx_chat_handlers.h>
#include <http/ngx_chat_http_module.h>
#include <ngx_chat_conf.h>
#include <ngx_chat_conf_app.h>
#include <ngx_chat_conf_cluster.h>
#include <ngx_chat_conf_database.h>
#include <ngx_chat_conf_webhook.h>
#include <websocket/ngx_chat_websocket.h>


#define NGX_CHAT_CONF_ZONE       (32 * 1024 * 1024)
#define NGX_CHAT_CONF_DRAIN      5000      /* ms */
#define NGX_CHAT_CONF_GRACE      5000      /* ms */
#define NGX_CHAT_CONF_GRACE_MAX  600000    /* ms */


static void ngx_chat_conf_inherit(ngx_conf_t *cf, ngx_chat_loc_conf_t *prev,
    ngx_chat_loc_conf_t *conf);
static ngx_int_t ngx_chat_conf_check_refs(ngx_conf_t *cf,
    ngx_chat_main_conf_t *cmcf);
static ngx_int_t ngx_chat_conf_check_zone(ngx_conf_t *cf,
    ngx_chat_main_conf_t *cmcf);
static char *ngx_chat_conf_add_zone(ngx_conf_t *cf,
    ngx_chat_main_conf_t *cmcf);
static void ngx_chat_conf_init_drain(ngx_chat_main_conf_t *cmcf,
    ngx_core_conf_t *ccf);
static ngx_int_t ngx_chat_conf_init_zone(ngx_shm_zone_t *shm_zone,
    void *data);


void *
ngx_chat_conf_create_main(ngx_conf_t *cf)
{
    ngx_chat_main_conf_t  *cmcf;

    cmcf = ngx_pcalloc(cf->pool, sizeof(ngx_chat_main_conf_t));
    if (cmcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     cmcf->zone = NULL;
     *     cmcf->first_endpoint, cmcf->retention = { 0 };
     *     cmcf->herald, cmcf->certificate = { 0 };
     *     cmcf->cluster, cmcf->cluster_tls = { 0 };
     *     cmcf->store = { 0 };
     *     cmcf->message_max = 0;
     *     cmcf->hub, cmcf->sessions = { 0 };
     *     cmcf->live = NULL;
     */

    cmcf->cycle = cf->cycle;
    cmcf->zone_size = NGX_CONF_UNSET_SIZE;
    cmcf->drain = NGX_CONF_UNSET_MSEC;
    cmcf->presence_grace = NGX_CONF_UNSET_MSEC;

    if (ngx_array_init(&cmcf->apps, cf->pool, 2, sizeof(ngx_chat_app_t))
        != NGX_OK
        || ngx_array_init(&cmcf->refs, cf->pool, 4,
                          sizeof(ngx_chat_app_ref_t *))
           != NGX_OK)
    {
        return NULL;
    }

    return cmcf;
}


char *
ngx_chat_conf_init_main(ngx_conf_t *cf, void *conf)
{
    ngx_chat_main_conf_t *cmcf = conf;

    if (cmcf->zone_size == NGX_CONF_UNSET_SIZE
        && cmcf->store.path.len == 0
        && cmcf->apps.nelts == 0
        && cmcf->refs.nelts == 0
        && cmcf->retention.name.len == 0
        && cmcf->certificate.name.len == 0
        && cmcf->cluster.name.len == 0
        && cmcf->first_endpoint.name.len == 0)
    {
        /* loaded and not used */
        return NGX_CONF_OK;
    }

    ngx_conf_init_size_value(cmcf->zone_size, NGX_CHAT_CONF_ZONE);

    if (ngx_chat_conf_check_refs(cf, cmcf) != NGX_OK
        || ngx_chat_conf_check_zone(cf, cmcf) != NGX_OK
        || ngx_chat_conf_app_check_store(cf, cmcf) != NGX_OK
        || ngx_chat_conf_webhook_init(cf, cmcf) != NGX_OK
        || ngx_chat_conf_cluster_init(cf, cmcf) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return ngx_chat_conf_add_zone(cf, cmcf);
}


void *
ngx_chat_conf_create_loc(ngx_conf_t *cf)
{
    ngx_chat_loc_conf_t  *clcf;

    clcf = ngx_pcalloc(cf->pool, sizeof(ngx_chat_loc_conf_t));
    if (clcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc(), and not merged:
     *
     *     clcf->history = NULL;
     *     clcf->publish = NULL;
     *     clcf->auth = NULL;
     *     clcf->events = NULL;
     *     clcf->log_close = 0;
     *     clcf->fallback = 0;
     *     clcf->console = 0;
     *     clcf->handler = NULL;
     */

    clcf->author = NGX_CONF_UNSET_PTR;
    clcf->cors = NGX_CONF_UNSET_PTR;
    clcf->origins = NGX_CONF_UNSET_PTR;
    clcf->max_message_size = NGX_CONF_UNSET_SIZE;
    clcf->session.send_buffer = NGX_CONF_UNSET_SIZE;
    clcf->session.activity_timeout = NGX_CONF_UNSET_MSEC;
    clcf->session.recovery = NGX_CONF_UNSET;

    return clcf;
}


char *
ngx_chat_conf_merge_loc(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_chat_loc_conf_t *prev = parent;
    ngx_chat_loc_conf_t *conf = child;

    ngx_chat_main_conf_t  *cmcf;

    ngx_chat_conf_inherit(cf, prev, conf);

    ngx_conf_merge_ptr_value(conf->author, prev->author, NULL);
    ngx_conf_merge_ptr_value(conf->cors, prev->cors, NULL);
    ngx_conf_merge_ptr_value(conf->origins, prev->origins, NULL);
    ngx_conf_merge_size_value(conf->max_message_size,
                              prev->max_message_size, 10 * 1024);
    ngx_conf_merge_size_value(conf->session.send_buffer,
                              prev->session.send_buffer, 1024 * 1024);
    ngx_conf_merge_msec_value(conf->session.activity_timeout,
                              prev->session.activity_timeout, 50000);
    ngx_conf_merge_sec_value(conf->session.recovery, prev->session.recovery,
                             120);

    conf->session.data_max = conf->max_message_size;

    if (conf->publish
        || conf->fallback
        || conf->handler == ngx_chat_websocket_handler
        || conf->handler == ngx_chat_api_handler)
    {
        cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_chat_module);
        cmcf->message_max = ngx_max(cmcf->message_max,
                                    conf->max_message_size);
    }

    return NGX_CONF_OK;
}


ngx_int_t
ngx_chat_conf_postconfiguration(ngx_conf_t *cf)
{
    size_t                      need;
    ngx_http_handler_pt        *h;
    ngx_chat_main_conf_t       *cmcf;
    ngx_http_core_main_conf_t  *core;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_chat_module);

    if (cmcf->zone == NULL) {
        return NGX_OK;
    }

    /* the ring is half of the zone, a record at most a quarter of the ring */

    need = 8 * ngx_chat_store_hooks_envelope_max(cmcf->message_max) + 65536;

    if (cmcf->message_max && cmcf->zone_size < need) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "chat_max_message_size of %uz bytes needs a chat_zone "
                      "of at least %uzk, it has %uzk", cmcf->message_max,
                      need / 1024 + 1, cmcf->zone_size / 1024);
        return NGX_ERROR;
    }

    core = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push_n(&core->phases[NGX_HTTP_PREACCESS_PHASE].handlers, 3);
    if (h == NULL) {
        return NGX_ERROR;
    }

    /* phase handlers run in reverse: a preflight has no body to wait for */

    h[0] = ngx_chat_auth_params_handler;
    h[1] = ngx_chat_cors_handler;
    h[2] = ngx_chat_client_preaccess;

    ngx_chat_cors_init();

    return NGX_OK;
}


char *
ngx_chat_conf_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_chat_main_conf_t *cmcf = conf;

    ssize_t     size;
    ngx_str_t  *value;

    if (cmcf->zone_size != NGX_CONF_UNSET_SIZE) {
        return "is duplicate";
    }

    value = cf->args->elts;

    size = ngx_parse_size(&value[1]);

    if (size == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid zone size \"%V\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    if ((size_t) size < NGX_CHAT_ZONE_MIN) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "zone \"%V\" is too small, it must be at least %uzm",
                           &value[1], NGX_CHAT_ZONE_MIN / (1024 * 1024));
        return NGX_CONF_ERROR;
    }

    cmcf->zone_size = size;

    return NGX_CONF_OK;
}


/* A time, or "off", which is 0. */

char *
ngx_chat_conf_presence_grace(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_chat_main_conf_t *cmcf = conf;

    char       *rv;
    ngx_str_t  *value;

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        ngx_str_set(&value[1], "0");
    }

    rv = ngx_conf_set_msec_slot(cf, cmd, conf);

    if (rv == NGX_CONF_OK && cmcf->presence_grace > NGX_CHAT_CONF_GRACE_MAX) {
        rv = "must be 10m at most";
    }

    return rv;
}


/*
 * "if" and "limit_except" make a location of their own inside another, and have
 * the endpoint of that other location.
 */

static void
ngx_chat_conf_inherit(ngx_conf_t *cf, ngx_chat_loc_conf_t *prev,
    ngx_chat_loc_conf_t *conf)
{
    ngx_http_core_loc_conf_t  *core;

    core = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if ((!core->noname && !core->lmt_excpt) || core->handler != NULL) {
        return;
    }

    conf->history = prev->history;
    conf->publish = prev->publish;
    conf->auth = prev->auth;
    conf->events = prev->events;
    conf->log_close = prev->log_close;
    conf->fallback = prev->fallback;
    conf->handler = prev->handler;

    if (core->lmt_excpt) {
        core->handler = conf->handler;
    }
}


static ngx_int_t
ngx_chat_conf_check_refs(ngx_conf_t *cf, ngx_chat_main_conf_t *cmcf)
{
    ngx_uint_t            i;
    ngx_chat_place_t     *place;
    ngx_chat_app_ref_t  **refs;

    refs = cmcf->refs.elts;
    place = &cmcf->retention;

    if (place->name.len
        && ngx_chat_conf_database_required(cf, cmcf, place) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (cmcf->apps.nelts == 0
        && (cmcf->refs.nelts || cmcf->first_endpoint.name.len))
    {
        place = cmcf->refs.nelts ? &refs[0]->place : &cmcf->first_endpoint;

        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"%V\" needs an app, add \"chat_app ID { key ...; "
                      "secret ...; }\" to the http block in %V:%ui",
                      &place->name, &place->file, place->line);
        return NGX_ERROR;
    }

    for (i = 0; i < cmcf->refs.nelts; i++) {

        place = &refs[i]->place;

        if (ngx_strcmp(place->name.data, "chat_auth") != 0
            && ngx_chat_conf_database_required(cf, cmcf, place) != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (ngx_chat_conf_app_resolve(cf, cmcf, refs[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* Each app has a share of the zone, which must be of some use. */

static ngx_int_t
ngx_chat_conf_check_zone(ngx_conf_t *cf, ngx_chat_main_conf_t *cmcf)
{
    size_t  need;

    need = cmcf->apps.nelts * NGX_CHAT_ZONE_PER_APP;

    if (cmcf->zone_size < need) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "%ui apps need a chat_zone of at least %uzk, it has "
                      "%uzk", cmcf->apps.nelts, need / 1024,
                      cmcf->zone_size / 1024);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static char *
ngx_chat_conf_add_zone(ngx_conf_t *cf, ngx_chat_main_conf_t *cmcf)
{
    ngx_str_t        name;
    ngx_shm_zone_t  *shm_zone;

    cmcf->zone = ngx_pcalloc(cf->pool, sizeof(ngx_chat_zone_t));
    if (cmcf->zone == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_str_set(&name, "ngx_chat");

    shm_zone = ngx_shared_memory_add(cf, &name, cmcf->zone_size,
                                     &ngx_chat_module);
    if (shm_zone == NULL) {
        return NGX_CONF_ERROR;
    }

    shm_zone->init = ngx_chat_conf_init_zone;
    shm_zone->data = cmcf;

    return NGX_CONF_OK;
}


/*
 * At the end of worker_shutdown_timeout nginx closes connections without a
 * close frame.  So the last clients are sent away some time before.
 */

static void
ngx_chat_conf_init_drain(ngx_chat_main_conf_t *cmcf, ngx_core_conf_t *ccf)
{
    ngx_msec_t  most;

    most = ccf->shutdown_timeout - ccf->shutdown_timeout / 4;

    if (ccf->shutdown_timeout == 0) {
        most = NGX_MAX_INT32_VALUE;
    }

    if (cmcf->drain == NGX_CONF_UNSET_MSEC) {
        cmcf->drain = ngx_min(most, NGX_CHAT_CONF_DRAIN);
    }

    if (cmcf->drain > most) {
        /* nginx logs the configuration's warnings there, too */

        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "\"chat_drain\" of %Mms does not fit in "
                      "\"worker_shutdown_timeout\" of %Mms, clients are "
                      "sent away within %Mms", cmcf->drain,
                      ccf->shutdown_timeout, most);

        cmcf->drain = most;
    }
}


/*
 * A ngx_shm_zone_init_pt, in the master: the last place where a failing
 * reload leaves the running configuration alone.
 */

static ngx_int_t
ngx_chat_conf_init_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_chat_main_conf_t *ocmcf = data;

    ngx_core_conf_t       *ccf;
    ngx_cycle_t           *cycle;
    ngx_chat_main_conf_t  *cmcf;

    cmcf = shm_zone->data;
    cycle = cmcf->cycle;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    /* a thread pool starts with a new process only */

    if (ngx_process == NGX_PROCESS_SINGLE && ocmcf != NULL) {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "chat can't be reloaded with \"master_process off\", "
                      "restart nginx");
        return NGX_ERROR;
    }

    if (cmcf->store.path.len
        && ngx_chat_conf_database_check(cycle, &cmcf->store.path,
                                        &cmcf->database)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_chat_conf_init_drain(cmcf, ccf);
    ngx_conf_init_msec_value(cmcf->presence_grace, NGX_CHAT_CONF_GRACE);

    cmcf->zone->workers = (ccf->worker_processes > 0) ? ccf->worker_processes
                                                      : 1;
    cmcf->zone->nnodes = cmcf->store.link ? NGX_CHAT_ZONE_NODES : 0;
    shm_zone->data = cmcf->zone;

    if (ngx_chat_zone_init(shm_zone, ocmcf ? ocmcf->zone : NULL, cycle->pool)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    shm_zone->data = cmcf;

    if ((cmcf->store.link != NULL) != (cmcf->zone->sh->nnodes != 0)) {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "chat_cluster can't be added or taken out by a reload, "
                      "restart nginx");
        return NGX_ERROR;
    }

    cmcf->store_hooks.zone = cmcf->zone;
    cmcf->store_hooks.apps = &cmcf->apps;
    cmcf->herald.zone = cmcf->zone;

    if (cmcf->store.path.len == 0) {
        return NGX_OK;
    }

    return ngx_chat_conf_database_init(cmcf, shm_zone->shm.log);
}
