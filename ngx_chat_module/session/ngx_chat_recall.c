
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Missed messages from the history.
 *
 * That is allowed only where the history has all that the channel has had since
 * its floor: nothing that is not stored was sent, and nothing that is stored
 * was removed.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <pusher/ngx_chat_event.h>
#include <session/ngx_chat_recall.h>
#include <shared/ngx_chat_index.h>
#include <wire/ngx_chat_frame.h>
#include <wire/ngx_chat_message.h>


#define NGX_CHAT_RECALL_MAX  32            /* of a session at a time */


static ngx_uint_t ngx_chat_recall_is_possible(ngx_chat_session_t *s,
    ngx_str_t *channel, ngx_chat_ring_place_t *from);
static ngx_chat_recall_t *ngx_chat_recall_create(ngx_chat_session_t *s,
    ngx_chat_command_t *cmd);
static void ngx_chat_recall_read_done(ngx_chat_read_t *rd, ngx_int_t rc);
static ssize_t ngx_chat_recall_render(ngx_chat_record_t *rec, u_char *buf,
    size_t size);
static void ngx_chat_recall_unlink(ngx_chat_recall_t *rc);


ngx_int_t
ngx_chat_recall(ngx_chat_session_t *s, ngx_chat_command_t *cmd,
    void (*done)(ngx_chat_recall_t *rc))
{
    uint64_t                mark;
    ngx_chat_zone_t        *zone;
    ngx_chat_recall_t      *rc;
    ngx_chat_history_t      history;
    ngx_chat_ring_place_t   from;

    if (s->recovery == NULL
        || !ngx_chat_recall_is_possible(s, &cmd->channel, &from))
    {
        return NGX_DECLINED;
    }

    rc = ngx_chat_recall_create(s, cmd);

    if (rc == NULL) {
        return NGX_DECLINED;
    }

    rc->done = done;

    /*
     * What the ring has had by now is read of the history.  What is stored and
     * not in the ring yet will be there, and may be sent live.
     */

    zone = s->sessions->hub->fanout.zone;

    ngx_chat_zone_lock(zone);

    rc->history.position = ngx_chat_ring_head(zone->sh->ring);
    mark = ngx_chat_ring_mark(zone->sh->ring);

    ngx_chat_zone_unlock(zone);

    ngx_memzero(&history, sizeof(ngx_chat_history_t));

    history.app = s->app->number;
    history.channel = rc->command.channel;
    history.from = NGX_CHAT_HISTORY_AFTER_e;
    history.id = from.mark;
    history.limit = NGX_CHAT_REPLAY_MAX + 1;
    history.to = mark;

    rc->read = ngx_chat_store_read_alloc(&history, s->connection->log);

    if (rc->read == NULL) {
        goto failed;
    }

    rc->read->client = &rc->client;
    rc->read->render = ngx_chat_recall_render;
    rc->read->done = ngx_chat_recall_read_done;
    rc->read->data = rc;

    if (ngx_chat_store_read(s->sessions->store, rc->read) != NGX_OK) {
        goto failed;
    }

    rc->next = s->recovery->recalls;
    s->recovery->recalls = rc;

    return NGX_OK;

failed:

    ngx_free(rc);

    return NGX_DECLINED;
}


void
ngx_chat_recall_cancel(ngx_chat_session_t *s, ngx_str_t *channel)
{
    ngx_chat_recall_t  *rc, *next;

    for (rc = s->recovery ? s->recovery->recalls : NULL; rc; rc = next) {
        next = rc->next;

        if (channel
            && (channel->len != rc->command.channel.len
                || ngx_memcmp(channel->data, rc->command.channel.data,
                              channel->len) != 0))
        {
            continue;
        }

        /* at the worker's end there is no store any more */

        if (s->sessions->store) {
            ngx_chat_store_cancel(s->sessions->store, rc->read);
        }

        ngx_chat_recall_unlink(rc);
        ngx_free(rc);
    }
}


static ngx_uint_t
ngx_chat_recall_is_possible(ngx_chat_session_t *s, ngx_str_t *channel,
    ngx_chat_ring_place_t *from)
{
    uint32_t            hash;
    ngx_uint_t          n;
    ngx_chat_zone_t    *zone;
    ngx_chat_recall_t  *rc;

    n = 0;

    for (rc = s->recovery->recalls; rc; rc = rc->next) {
        n++;
    }

    zone = s->sessions->hub->fanout.zone;
    hash = ngx_chat_registry_hash(zone, s->app->number, channel);

    return s->sessions->store
           && n < NGX_CHAT_RECALL_MAX
           && ngx_chat_recovery_floor(s, channel, from) == NGX_OK
           && from->position < ngx_chat_ring_tail(zone->sh->ring)
           && ngx_chat_index_changed(zone, hash, from->position)
           && !ngx_chat_index_unstored(zone, hash, from->position)
           && ngx_chat_store_removed(s->sessions->store) <= from->mark;
}


static ngx_chat_recall_t *
ngx_chat_recall_create(ngx_chat_session_t *s, ngx_chat_command_t *cmd)
{
    ngx_chat_recall_t  *rc;

    rc = ngx_calloc(sizeof(ngx_chat_recall_t) + ngx_chat_command_size(cmd),
                    s->connection->log);

    if (rc == NULL) {
        return NULL;
    }

    rc->session = s;

    (void) ngx_chat_command_copy((u_char *) rc + sizeof(ngx_chat_recall_t),
                                 &rc->command, cmd);

    ngx_chat_read_client_init(&rc->client);

    return rc;
}


/*
 * The store frees the read and its page behind this, and must not look at the
 * client, which is in the recall's memory.
 */

static void
ngx_chat_recall_read_done(ngx_chat_read_t *rd, ngx_int_t rc)
{
    ngx_chat_recall_t *recall = rd->data;

    ngx_chat_session_t  *s;

    s = recall->session;

    ngx_chat_recall_unlink(recall);

    recall->history.failed = (rc != NGX_OK || rd->history.is_full);

    if (!recall->history.failed && rd->nrows) {
        recall->history.events = rd->page;
        recall->history.n = rd->nrows;
    }

    if (!s->is_ending) {
        recall->done(recall);
        ngx_reset_pool(s->sessions->scratch);
    }

    ngx_chat_read_queue_leave(rd);
    ngx_free(recall);
}


/*
 * On a thread: a message as its event looked, in a frame.  Counts where buf is
 * NULL.
 */

static ssize_t
ngx_chat_recall_render(ngx_chat_record_t *rec, u_char *buf, size_t size)
{
    u_char              *p;
    ssize_t              len;
    ngx_str_t            data;
    ngx_chat_message_t   m;

    data = rec->content;
    p = NULL;

    if (rec->kind != NGX_CHAT_MESSAGE_EVENT_e) {

        ngx_chat_record_message(rec, &m);

        len = ngx_chat_message_render(&m, NULL, 0);
        p = (len == NGX_ERROR) ? NULL : malloc(len);

        if (p == NULL) {
            return NGX_ERROR;
        }

        data.data = p;
        data.len = len;

        (void) ngx_chat_message_render(&m, p, len);
    }

    len = ngx_chat_event_render(NULL, 0, &rec->event, &rec->channel, &data);

    if (len != NGX_ERROR && buf != NULL) {
        buf = ngx_chat_frame_write_header(buf, NGX_CHAT_FRAME_TEXT, len);
        (void) ngx_chat_event_render(buf, len, &rec->event, &rec->channel,
                                     &data);
    }

    free(p);

    return (len == NGX_ERROR)
           ? NGX_ERROR : (ssize_t) ngx_chat_frame_header_size(len) + len;
}


static void
ngx_chat_recall_unlink(ngx_chat_recall_t *rc)
{
    ngx_chat_recall_t  **next;

    next = &rc->session->recovery->recalls;

    while (*next != rc) {
        next = &(*next)->next;
    }

    *next = rc->next;
}
