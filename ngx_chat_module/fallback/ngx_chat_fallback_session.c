
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Sessions of the HTTP fallback: their begin, who finds them, their time.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <fallback/ngx_chat_fallback.h>
#include <pusher/ngx_chat_error.h>
#include <pusher/ngx_chat_name.h>
#include <session/ngx_chat_recovery.h>
#include <shared/ngx_chat_incident.h>
#include <shared/ngx_chat_registry_query.h>


#define NGX_CHAT_FALLBACK_NAME   (sizeof(NGX_CHAT_NAME_FALLBACK) - 1 + 16)


static ngx_chat_fallback_t *ngx_chat_fallback_create(
    ngx_chat_fallback_client_t *client);
static ngx_int_t ngx_chat_fallback_enter(ngx_chat_sessions_t *w,
    ngx_chat_fallback_t *f, ngx_chat_app_t *app);
static void ngx_chat_fallback_name(ngx_str_t *text, u_char *buf,
    uint64_t name);
static void ngx_chat_fallback_timer_handler(ngx_event_t *ev);
static u_char *ngx_chat_fallback_log_error(ngx_log_t *log, u_char *buf,
    size_t len);


/* this worker's */
static ngx_rbtree_t       ngx_chat_fallback_tree;
static ngx_rbtree_node_t  ngx_chat_fallback_sentinel;
static ngx_uint_t         ngx_chat_fallback_n;


ngx_int_t
ngx_chat_fallback_open(ngx_chat_sessions_t *w,
    ngx_chat_fallback_client_t *client)
{
    ngx_int_t             rc;
    ngx_chat_fallback_t  *f;

    /* a session needs no connection of its own, and still has a bound */

    f = NULL;

    if (w->hub->fanout.slot != NULL
        && !ngx_exiting
        && ngx_chat_fallback_n < ngx_cycle->connection_n)
    {
        f = ngx_chat_fallback_create(client);
    }

    if (f == NULL) {
        ngx_chat_session_count_refused(NGX_CHAT_ERROR_CAPACITY);
        return NGX_CHAT_ERROR_CAPACITY;
    }

    rc = ngx_chat_fallback_enter(w, f, client->app);

    if (rc != NGX_OK) {
        ngx_free(f);
        return rc;
    }

    if (ngx_chat_fallback_tree.root == NULL) {
        ngx_rbtree_init(&ngx_chat_fallback_tree, &ngx_chat_fallback_sentinel,
                        ngx_rbtree_insert_value);
    }

    ngx_rbtree_insert(&ngx_chat_fallback_tree, &f->node);
    ngx_chat_fallback_n++;

    ngx_chat_count(NGX_CHAT_FALLBACKS_e, 1);

    if (ngx_chat_session_open(w, &f->session, client->app) != NGX_OK) {
        rc = f->code ? (ngx_int_t) f->code : NGX_CHAT_ERROR_CAPACITY;

        ngx_chat_fallback_finish(f);
        return rc;
    }

    f->started = 1;

    ngx_chat_recovery_open(&f->session, client->token);
    ngx_chat_session_greet(&f->session);

    ngx_add_timer(&f->timer, NGX_CHAT_FALLBACK_AWAY);

    return NGX_OK;
}


static ngx_chat_fallback_t *
ngx_chat_fallback_create(ngx_chat_fallback_client_t *client)
{
    ngx_connection_t     *c;
    ngx_chat_fallback_t  *f;

    f = ngx_calloc(sizeof(ngx_chat_fallback_t) + client->addr->len,
                   client->log);
    if (f == NULL) {
        return NULL;
    }

    f->addr.len = client->addr->len;
    f->addr.data = (u_char *) f + sizeof(ngx_chat_fallback_t);
    ngx_memcpy(f->addr.data, client->addr->data, f->addr.len);

    f->node.key = client->name;
    f->origin = client->origin;

    f->log = *client->log;
    f->log.handler = ngx_chat_fallback_log_error;
    f->log.data = f;
    f->log.action = NULL;

    /* ours, and never nginx's: a part of f, without a socket, which the outbox
       takes for a connection; so nothing of nginx is replaced */

    c = &f->connection;

    c->fd = (ngx_socket_t) -1;
    c->data = f;
    c->log = &f->log;
    c->read = &f->read;
    c->write = &f->write;
    c->send_chain = ngx_chat_fallback_send_chain;

    f->read.data = c;
    f->read.log = &f->log;
    f->write.data = c;
    f->write.log = &f->log;
    f->write.write = 1;
    f->write.handler = ngx_chat_fallback_flush_handler;
    f->timer.data = c;
    f->timer.log = &f->log;
    f->timer.handler = ngx_chat_fallback_timer_handler;

    ngx_queue_init(&f->waits);

    f->session.connection = c;
    f->session.conf = client->conf;
    f->session.transport = &ngx_chat_fallback_transport;
    f->session.is_js = 1;

    return f;
}


/* Tells the other workers where the session lives. */

static ngx_int_t
ngx_chat_fallback_enter(ngx_chat_sessions_t *w, ngx_chat_fallback_t *f,
    ngx_chat_app_t *app)
{
    u_char      buf[NGX_CHAT_FALLBACK_NAME];
    ngx_str_t   text;
    ngx_uint_t  total;

    ngx_chat_fallback_name(&text, buf, f->node.key);

    if (ngx_chat_hub_hidden_add(w->hub, app->number, &text, &f->place, &total,
                                NULL)
        != NGX_OK)
    {
        ngx_log_error(NGX_LOG_WARN, &f->log, 0,
                      "chat_zone is full for app \"%V\", a client without "
                      "WebSocket is refused", &app->id);

        ngx_chat_incident_note(NGX_CHAT_INCIDENT_ZONE_FULL_e, "app %V",
                               &app->id);

        ngx_chat_session_count_refused(NGX_CHAT_ERROR_CAPACITY);
        return NGX_CHAT_ERROR_CAPACITY;
    }

    f->generation = w->hub->fanout.slot->generation;

    if (total > 1) {
        ngx_chat_hub_hidden_remove(w->hub, &f->place);
        return NGX_AGAIN;
    }

    return NGX_OK;
}


/* The hidden channel of a session. */

static void
ngx_chat_fallback_name(ngx_str_t *text, u_char *buf, uint64_t name)
{
    text->data = buf;
    text->len = ngx_sprintf(buf, NGX_CHAT_NAME_FALLBACK "%016xL", name) - buf;
}


ngx_chat_slot_sh_t *
ngx_chat_fallback_slot(ngx_chat_zone_t *zone, uint64_t app, uint64_t name,
    ngx_pool_t *pool)
{
    u_char      buf[NGX_CHAT_FALLBACK_NAME];
    uint64_t   *slots;
    ngx_str_t   text;
    ngx_uint_t  i;

    slots = ngx_pcalloc(pool, (zone->sh->nslots / 64 + 1) * sizeof(uint64_t));

    if (slots == NULL) {
        return NULL;
    }

    ngx_chat_fallback_name(&text, buf, name);
    ngx_chat_registry_query_slots(zone, app, &text, slots);

    for (i = 0; i < zone->sh->nslots; i++) {
        if (slots[i / 64] & ((uint64_t) 1 << (i % 64))) {
            return &zone->sh->slots[i];
        }
    }

    return NULL;
}


ngx_chat_fallback_t *
ngx_chat_fallback_find(uint64_t name, uint64_t origin, ngx_log_t *log)
{
    ngx_rbtree_node_t    *node, *sentinel;
    ngx_chat_fallback_t  *f;

    node = ngx_chat_fallback_tree.root;
    sentinel = &ngx_chat_fallback_sentinel;

    while (node != NULL && node != sentinel && node->key != name) {
        node = (name < node->key) ? node->left : node->right;
    }

    if (node == NULL || node == sentinel) {
        return NULL;
    }

    f = ngx_rbtree_data(node, ngx_chat_fallback_t, node);

    if (f->origin != origin) {
        ngx_log_error(NGX_LOG_INFO, log, 0,
                      "client sent another origin than the one that its chat "
                      "session began with");
        return NULL;
    }

    return f;
}


void
ngx_chat_fallback_forget(ngx_chat_fallback_t *f, ngx_chat_hub_t *hub)
{
    /* after a wipe the place is none */

    if (f->generation == hub->fanout.slot->generation) {
        ngx_chat_hub_hidden_remove(hub, &f->place);
    }

    ngx_rbtree_delete(&ngx_chat_fallback_tree, &f->node);
    ngx_chat_fallback_n--;

    ngx_chat_count(NGX_CHAT_FALLBACKS_e, -1);
}


void
ngx_chat_fallback_shut(void)
{
    ngx_rbtree_t         *tree;
    ngx_chat_fallback_t  *f;

    tree = &ngx_chat_fallback_tree;

    while (tree->root != tree->sentinel) {
        f = ngx_rbtree_data(tree->root, ngx_chat_fallback_t, node);

        if (!f->leaving) {
            ngx_chat_count(NGX_CHAT_CLOSED_SHUTDOWN_e, 1);
        }

        ngx_chat_fallback_finish(f);
    }
}


static void
ngx_chat_fallback_timer_handler(ngx_event_t *ev)
{
    ngx_connection_t     *c;
    ngx_chat_fallback_t  *f;

    c = ev->data;
    f = c->data;

    if (f->carrier == NULL || f->leaving || ngx_chat_fallback_is_full(f)) {
        ngx_log_error(NGX_LOG_INFO, &f->log, 0,
                      "client without WebSocket has not come back");

        ngx_chat_fallback_finish(f);
        return;
    }

    if (f->asked && !f->heard && !f->polling) {
        ngx_log_error(NGX_LOG_INFO, &f->log, NGX_ETIMEDOUT,
                      "client did not answer heartbeat");

        ngx_chat_count(NGX_CHAT_CLOSED_SILENT_e, 1);
        ngx_chat_session_fail(&f->session, NGX_CHAT_ERROR_NO_PONG, NULL);
        return;
    }

    ngx_add_timer(ev, NGX_CHAT_FALLBACK_BEAT);

    ngx_chat_fallback_beat(f);
}


static u_char *
ngx_chat_fallback_log_error(ngx_log_t *log, u_char *buf, size_t len)
{
    ngx_chat_fallback_t  *f;

    f = log->data;

    return ngx_snprintf(buf, len, ", client: %V, without WebSocket", &f->addr);
}
