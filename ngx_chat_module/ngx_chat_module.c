
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The module's record, its directives, and its part in the life of
 * processes.  A module that is loaded and not configured does nothing.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <events/ngx_chat_events.h>
#include <events/ngx_chat_events_queue.h>
#include <fallback/ngx_chat_door.h>
#include <http/ngx_chat_http_module.h>
#include <http/ngx_chat_variable.h>
#include <http/ngx_chat_wait.h>
#include <ngx_chat_conf.h>
#include <ngx_chat_conf_app.h>
#include <ngx_chat_conf_cluster.h>
#include <ngx_chat_conf_database.h>
#include <ngx_chat_conf_events.h>
#include <ngx_chat_conf_location.h>
#include <ngx_chat_conf_origin.h>
#include <ngx_chat_conf_webhook.h>
#include <pusher/ngx_chat_digest.h>
#include <shared/ngx_chat_hook.h>
#include <shared/ngx_chat_incident.h>
#include <shared/ngx_chat_share.h>
#include <websocket/ngx_chat_websocket.h>


static ngx_int_t ngx_chat_init_module(ngx_cycle_t *cycle);
static ngx_int_t ngx_chat_init_process(ngx_cycle_t *cycle);
static void ngx_chat_exit_process(ngx_cycle_t *cycle);
static void ngx_chat_exit_master(ngx_cycle_t *cycle);


static ngx_conf_post_t  ngx_chat_check_timeout = {
    ngx_chat_conf_check_timeout
};


static ngx_conf_post_t  ngx_chat_check_size = {
    ngx_chat_conf_check_size
};


static ngx_command_t  ngx_chat_commands[] = {

    { ngx_string("chat_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_chat_conf_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("chat_database"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE12,
      ngx_chat_conf_database,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("chat_retention"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE123,
      ngx_chat_conf_retention,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("chat_webhook_trusted_certificate"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_chat_conf_webhook_certificate,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("chat_cluster"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_chat_conf_cluster,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("chat_cluster_password"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_chat_conf_cluster_file,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_chat_main_conf_t, cluster_tls.password),
      NULL },

    { ngx_string("chat_cluster_certificate"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_chat_conf_cluster_file,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_chat_main_conf_t, cluster_tls.certificate),
      NULL },

    { ngx_string("chat_cluster_certificate_key"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_chat_conf_cluster_file,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_chat_main_conf_t, cluster_tls.key),
      NULL },

    { ngx_string("chat_cluster_trusted_certificate"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_chat_conf_cluster_file,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_chat_main_conf_t, cluster_tls.trusted),
      NULL },

    { ngx_string("chat_app"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_BLOCK|NGX_CONF_TAKE1,
      ngx_chat_conf_app,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("chat_drain"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_chat_main_conf_t, drain),
      NULL },

    { ngx_string("chat_presence_grace"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_chat_conf_presence_grace,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_chat_main_conf_t, presence_grace),
      NULL },

    { ngx_string("chat_history"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1234|NGX_CONF_TAKE5,
      ngx_chat_conf_history,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("chat_publish"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE23,
      ngx_chat_conf_publish,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("chat_websocket"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE1,
      ngx_chat_conf_websocket,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("chat_fallback"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_chat_conf_fallback,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("chat_api"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_chat_conf_api,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("chat_auth"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE123,
      ngx_chat_conf_auth,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("chat_events"),
      NGX_HTTP_LOC_CONF|NGX_CONF_ANY,
      ngx_chat_conf_events,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("chat_status"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_chat_conf_status,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("chat_console"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_chat_conf_console,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("chat_author"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_set_complex_value_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_chat_loc_conf_t, author),
      NULL },

    { ngx_string("chat_cors"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_chat_conf_origins,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_chat_loc_conf_t, cors),
      "off" },

    { ngx_string("chat_origins"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_chat_conf_origins,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_chat_loc_conf_t, origins),
      NULL },

    { ngx_string("chat_max_message_size"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_chat_loc_conf_t, max_message_size),
      &ngx_chat_check_size },

    { ngx_string("chat_send_buffer"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_chat_loc_conf_t, session.send_buffer),
      &ngx_chat_check_size },

    { ngx_string("chat_activity_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_chat_loc_conf_t, session.activity_timeout),
      &ngx_chat_check_timeout },

    { ngx_string("chat_recovery"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_chat_conf_recovery,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_chat_module_ctx = {
    ngx_chat_variable_add,                 /* preconfiguration */
    ngx_chat_conf_postconfiguration,       /* postconfiguration */

    ngx_chat_conf_create_main,             /* create main configuration */
    ngx_chat_conf_init_main,               /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_chat_conf_create_loc,              /* create location configuration */
    ngx_chat_conf_merge_loc                /* merge location configuration */
};


ngx_module_t  ngx_chat_module = {
    NGX_MODULE_V1,
    &ngx_chat_module_ctx,                  /* module context */
    ngx_chat_commands,                     /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_chat_init_module,                  /* init module */
    ngx_chat_init_process,                 /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_chat_exit_process,                 /* exit process */
    ngx_chat_exit_master,                  /* exit master */
    NGX_MODULE_V1_PADDING
};


/* From here on a reload can't be refused: the zone learns which apps it has. */

static ngx_int_t
ngx_chat_init_module(ngx_cycle_t *cycle)
{
    ngx_chat_main_conf_t  *cmcf;

    cmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_chat_module);

    if (cmcf != NULL && cmcf->zone != NULL) {
        ngx_chat_share_configure(cmcf->zone, cmcf->apps.elts,
                                 cmcf->apps.nelts);

        cmcf->herald.number = ngx_chat_hook_configured(cmcf->zone);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_init_process(ngx_cycle_t *cycle)
{
    ngx_chat_main_conf_t  *cmcf;

    if (ngx_process != NGX_PROCESS_WORKER
        && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    cmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_chat_module);

    if (cmcf == NULL || cmcf->zone == NULL) {
        return NGX_OK;
    }

    ngx_chat_incident_init(cmcf->zone);

    cmcf->hub.fanout.zone = cmcf->zone;
    ngx_chat_wait_init(&cmcf->hub.fanout, cycle);
    ngx_chat_events_queue_init(cycle);

    cmcf->zone->grace = cmcf->presence_grace;
    cmcf->sessions.drain = cmcf->drain;

    if (ngx_chat_sessions_init(&cmcf->sessions, &cmcf->hub, cmcf->apps.nelts,
                               cycle)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (cmcf->store.path.len == 0) {
        return NGX_OK;
    }

    cmcf->live = ngx_chat_store_init(&cmcf->store, cycle);
    cmcf->sessions.store = cmcf->live;

    if (cmcf->live == NULL) {
        return NGX_ERROR;
    }

    return cmcf->herald.n ? ngx_chat_herald_start(&cmcf->herald, cycle)
                          : NGX_OK;
}


static void
ngx_chat_exit_process(ngx_cycle_t *cycle)
{
    ngx_chat_main_conf_t  *cmcf;

    cmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_chat_module);

    /* a cache manager comes here too, but has started nothing */

    if (cmcf == NULL || cmcf->zone == NULL || cmcf->sessions.hub == NULL) {
        return;
    }

    /* as long as there is a thread that writes it down */

    ngx_chat_sessions_tell_end(&cmcf->sessions);
    ngx_chat_herald_stop();

    ngx_chat_wait_exit();
    ngx_chat_door_exit();

    if (cmcf->live) {
        ngx_chat_store_exit(cmcf->live);
        cmcf->sessions.store = NULL;
    }

    ngx_chat_sessions_exit(&cmcf->sessions);
    ngx_chat_events_exit();
    ngx_chat_hub_exit(&cmcf->hub);
    ngx_chat_object_pool_exit(&ngx_chat_websocket_pool);
    ngx_chat_digest_exit();
}


/* nginx stops: a node's members need not wait for its lease to end. */

static void
ngx_chat_exit_master(ngx_cycle_t *cycle)
{
    ngx_chat_main_conf_t  *cmcf;

    cmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_chat_module);

    if (cmcf != NULL && cmcf->store.link != NULL) {
        ngx_chat_link_bye(cmcf->store.link);
    }
}
