
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Subscriptions to presence channels that wait for the log.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <session/ngx_chat_claim.h>
#include <session/ngx_chat_subscribe_check.h>
#include <shared/ngx_chat_node.h>


#define NGX_CHAT_CLAIM_MAX    32           /* of a session at a time */
#define NGX_CHAT_CLAIM_TOTAL  16384        /* of a worker */
#define NGX_CHAT_CLAIM_TURN   64           /* that end in one turn */
#define NGX_CHAT_CLAIM_LOOK   1024         /* that are looked at in one turn */


typedef struct {
    ngx_queue_t                  queue;    /* of the worker's */
    ngx_chat_session_t          *session;
    ngx_chat_claim_pt            done;
    ngx_msec_t                   started;
    ngx_chat_slot_channel_sh_t  *slot_channel;
    ngx_chat_slot_member_sh_t   *slot_member;
    ngx_str_t                    user;
    ngx_chat_command_t           command;  /* all strings are here, too */
} ngx_chat_claim_t;


static ngx_int_t ngx_chat_claim_begin(ngx_chat_session_t *s,
    ngx_chat_command_t *cmd, ngx_chat_member_t *m, ngx_chat_claim_pt done);
static ngx_chat_claim_t *ngx_chat_claim_create(ngx_chat_session_t *s,
    ngx_chat_command_t *cmd, ngx_chat_member_t *m);
static void ngx_chat_claim_handler(ngx_event_t *ev);
static ngx_uint_t ngx_chat_claim_look(ngx_chat_sessions_t *w,
    ngx_chat_claim_t *c);
static void ngx_chat_claim_free(ngx_chat_claim_t *c);


/* the one whose command is under way */
static ngx_chat_claim_t  *ngx_chat_claim_current;


ngx_int_t
ngx_chat_claim(ngx_chat_session_t *s, ngx_chat_command_t *cmd,
    ngx_chat_member_t *m, ngx_chat_claim_pt done)
{
    ngx_chat_zone_t  *zone;

    zone = s->sessions->hub->fanout.zone;

    if (ngx_chat_node_has(zone, s->app->number, &cmd->channel, &m->id)) {
        return NGX_DECLINED;
    }

    return ngx_chat_claim_begin(s, cmd, m, done);
}


static ngx_int_t
ngx_chat_claim_begin(ngx_chat_session_t *s, ngx_chat_command_t *cmd,
    ngx_chat_member_t *m, ngx_chat_claim_pt done)
{
    ngx_int_t                  rc;
    ngx_chat_claim_t          *c;
    ngx_chat_sessions_t       *w;
    ngx_chat_registry_join_t   j;

    w = s->sessions;

    c = (s->nclaims < NGX_CHAT_CLAIM_MAX && w->nclaims < NGX_CHAT_CLAIM_TOTAL)
        ? ngx_chat_claim_create(s, cmd, m) : NULL;

    if (c == NULL) {
        goto full;
    }

    c->done = done;

    ngx_memzero(&j, sizeof(ngx_chat_registry_join_t));

    j.app = s->app->number;
    j.name = &cmd->channel;
    j.claim = 1;
    j.user = &m->id;
    j.info = &m->info;
    j.members_max = s->app->presence_members;

    rc = ngx_chat_hub_claim(w->hub, &j, &c->slot_channel);

    if (rc == NGX_OK) {
        c->slot_member = j.slot_member;

        ngx_queue_insert_tail(&w->claims, &c->queue);
        w->nclaims++;
        s->nclaims++;

        return NGX_OK;
    }

    ngx_free(c);

    if (rc == NGX_ABORT) {
        /* the client is told to reconnect */
        return NGX_ERROR;
    }

    if (rc == NGX_DONE) {
        (void) ngx_chat_subscribe_check_refuse(s,
                   NGX_CHAT_SUB_REFUSED_MEMBERS_e, &cmd->channel);
        return NGX_ERROR;
    }

    ngx_chat_session_log_full(s, &cmd->channel);

full:

    (void) ngx_chat_subscribe_check_refuse(s, NGX_CHAT_SUB_REFUSED_CAPACITY_e,
                                           &cmd->channel);

    return NGX_ERROR;
}


static ngx_chat_claim_t *
ngx_chat_claim_create(ngx_chat_session_t *s, ngx_chat_command_t *cmd,
    ngx_chat_member_t *m)
{
    u_char            *p;
    ngx_chat_claim_t  *c;

    c = ngx_calloc(sizeof(ngx_chat_claim_t) + ngx_chat_command_size(cmd)
                   + m->id.len,
                   s->connection->log);

    if (c == NULL) {
        return NULL;
    }

    c->session = s;
    c->started = ngx_current_msec;

    p = (u_char *) c + sizeof(ngx_chat_claim_t);
    p = ngx_chat_command_copy(p, &c->command, cmd);

    c->user.data = p;
    c->user.len = m->id.len;
    ngx_memcpy(p, m->id.data, m->id.len);

    return c;
}


void
ngx_chat_claim_cancel(ngx_chat_session_t *s, ngx_str_t *channel)
{
    ngx_queue_t          *q, *next;
    ngx_chat_claim_t     *c;
    ngx_chat_sessions_t  *w;

    w = s->sessions;

    /* other sessions' claims may be many: none is looked at behind the last of
       this one's */

    if (s->nclaims == 0) {
        return;
    }

    for (q = ngx_queue_head(&w->claims);
         s->nclaims && q != ngx_queue_sentinel(&w->claims);
         q = next)
    {
        next = ngx_queue_next(q);
        c = ngx_queue_data(q, ngx_chat_claim_t, queue);

        if (c->session == s
            && (channel == NULL
                || (channel->len == c->command.channel.len
                    && ngx_memcmp(channel->data, c->command.channel.data,
                                  channel->len) == 0)))
        {
            ngx_chat_claim_free(c);
        }
    }
}


void
ngx_chat_claim_post(ngx_chat_sessions_t *w)
{
    if (ngx_queue_empty(&w->claims) || w->claim.posted) {
        return;
    }

    w->claim.handler = ngx_chat_claim_handler;

    ngx_post_event(&w->claim, &ngx_posted_next_events);
}


void
ngx_chat_claim_wiped(ngx_chat_sessions_t *w)
{
    ngx_queue_t       *q;
    ngx_chat_claim_t  *c;

    if (ngx_chat_claim_current) {
        ngx_chat_claim_current->slot_channel = NULL;
    }

    while (!ngx_queue_empty(&w->claims)) {
        q = ngx_queue_head(&w->claims);
        c = ngx_queue_data(q, ngx_chat_claim_t, queue);

        c->slot_channel = NULL;
        ngx_chat_claim_free(c);
    }
}


static void
ngx_chat_claim_handler(ngx_event_t *ev)
{
    ngx_uint_t            n, ended;
    ngx_queue_t          *q;
    ngx_connection_t     *dummy;
    ngx_chat_sessions_t  *w;

    dummy = ev->data;
    w = dummy->data;

    ended = 0;

    /* those that are not ready go to the end; a command may end claims, too */

    for (n = ngx_min(w->nclaims, NGX_CHAT_CLAIM_LOOK);
         n && ended < NGX_CHAT_CLAIM_TURN && !ngx_queue_empty(&w->claims);
         n--)
    {
        q = ngx_queue_head(&w->claims);

        ngx_queue_remove(q);
        ngx_queue_insert_tail(&w->claims, q);

        ended += ngx_chat_claim_look(w, ngx_queue_data(q, ngx_chat_claim_t,
                                                       queue));
    }

    if (ended == NGX_CHAT_CLAIM_TURN) {
        ngx_chat_claim_post(w);
    }
}


/* 1: the claim has ended, and is freed. */

static ngx_uint_t
ngx_chat_claim_look(ngx_chat_sessions_t *w, ngx_chat_claim_t *c)
{
    ngx_uint_t           late;
    ngx_chat_session_t  *s;

    s = c->session;

    late = !ngx_chat_node_has(w->hub->fanout.zone, s->app->number,
                              &c->command.channel, &c->user);

    if (late
        && ngx_current_msec - c->started
           <= ngx_chat_store_link(w->store)->timeout)
    {
        return 0;
    }

    /* out of the queue, so that nothing that done() does can end it */

    ngx_queue_remove(&c->queue);
    ngx_queue_init(&c->queue);

    if (s->is_ending) {
        ngx_chat_claim_free(c);
        return 1;
    }

    if (late) {
        (void) ngx_chat_subscribe_check_refuse(s,
                   NGX_CHAT_SUB_REFUSED_CAPACITY_e, &c->command.channel);

    } else {
        ngx_chat_claim_current = c;
        c->done(s, &c->command);
        ngx_chat_claim_current = NULL;
    }

    ngx_reset_pool(w->scratch);
    ngx_chat_claim_free(c);

    return 1;
}


/* Behind done(): the subscription has the member by now. */

static void
ngx_chat_claim_free(ngx_chat_claim_t *c)
{
    ngx_chat_session_t  *s;

    s = c->session;

    ngx_queue_remove(&c->queue);

    if (c->slot_channel) {
        ngx_chat_hub_unclaim(s->sessions->hub, &c->slot_channel,
                             c->slot_member);
    }

    s->sessions->nclaims--;
    s->nclaims--;

    ngx_free(c);
}
