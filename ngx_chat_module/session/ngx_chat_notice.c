
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Events that changes of the registry cause.
 *
 * These functions run under the zone's lock, so they only render on the stack
 * and append to the ring.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <pusher/ngx_chat_event.h>
#include <pusher/ngx_chat_name.h>
#include <session/ngx_chat_notice.h>
#include <shared/ngx_chat_hook.h>
#include <shared/ngx_chat_index.h>
#include <shared/ngx_chat_registry.h>


/* enough for a user id of 128 characters, escaped twice, and the rest */
#define NGX_CHAT_NOTICE_SIZE  8192

/* and for a member's info besides */
#define NGX_CHAT_NOTICE_MEMBER  (NGX_CHAT_NOTICE_SIZE + 8192)


static void ngx_chat_notice_removed(ngx_chat_zone_t *zone, uint64_t app,
    ngx_str_t *channel, ngx_str_t *user);
static void ngx_chat_notice_occupied(ngx_chat_zone_t *zone, uint64_t app,
    ngx_str_t *channel, ngx_uint_t on);
static void ngx_chat_notice_counted(ngx_chat_zone_t *zone, uint64_t app,
    ngx_str_t *channel, ngx_uint_t n);
static void ngx_chat_notice_joined(ngx_chat_zone_t *zone, uint64_t app,
    ngx_str_t *channel, ngx_str_t *user);
static void ngx_chat_notice_added(ngx_chat_zone_t *zone, uint64_t app,
    ngx_str_t *channel, ngx_str_t *user, ngx_str_t *info);
static void ngx_chat_notice_missed(ngx_chat_zone_t *zone, uint64_t app,
    ngx_str_t *channel);
static void ngx_chat_notice_append(ngx_chat_zone_t *zone, uint64_t app,
    ngx_str_t *channel, u_char *payload, ssize_t len);
static void ngx_chat_notice_hook(ngx_chat_zone_t *zone, ngx_uint_t kind,
    uint64_t app, ngx_str_t *channel, ngx_str_t *user, ngx_uint_t n);


ngx_chat_zone_handlers_t  ngx_chat_notice_handlers = {
    ngx_chat_notice_removed,
    ngx_chat_notice_occupied,
    ngx_chat_notice_counted,
    ngx_chat_notice_joined,
    ngx_chat_notice_added,
    ngx_chat_notice_missed
};


void
ngx_chat_notice_name(ngx_str_t *name, u_char *buf, const char *prefix,
    ngx_str_t *user)
{
    name->data = buf;
    name->len = ngx_snprintf(buf, NGX_CHAT_NOTICE_NAME - 1, "%s%V", prefix,
                             user)
                - buf;
}


static void
ngx_chat_notice_removed(ngx_chat_zone_t *zone, uint64_t app,
    ngx_str_t *channel, ngx_str_t *user)
{
    u_char  buf[NGX_CHAT_NOTICE_SIZE];

    ngx_chat_notice_append(zone, app, channel, buf,
                ngx_chat_event_render_member_removed(buf, sizeof(buf),
                                                     channel, user));

    ngx_chat_notice_hook(zone, NGX_CHAT_HOOK_REMOVED_e, app, channel, user, 0);
}


/* A user is online as long as the user's own channel has subscribers. */

static void
ngx_chat_notice_occupied(ngx_chat_zone_t *zone, uint64_t app,
    ngx_str_t *channel, ngx_uint_t on)
{
    u_char     buf[NGX_CHAT_NOTICE_SIZE], name[NGX_CHAT_NOTICE_NAME];
    size_t     len;
    ngx_str_t  user, watch;

    ngx_chat_notice_hook(zone, on ? NGX_CHAT_HOOK_OCCUPIED_e
                                  : NGX_CHAT_HOOK_VACATED_e,
                         app, channel, NULL, 0);

    len = sizeof(NGX_CHAT_NAME_USER) - 1;

    if (channel->len <= len
        || ngx_strncmp(channel->data, NGX_CHAT_NAME_USER, len) != 0)
    {
        return;
    }

    user.data = channel->data + len;
    user.len = channel->len - len;

    ngx_chat_notice_name(&watch, name, NGX_CHAT_NAME_WATCH, &user);

    if (!ngx_chat_registry_has(zone, app, &watch)) {
        return;
    }

    ngx_chat_notice_append(zone, app, &watch, buf,
                ngx_chat_event_render_watchlist(buf, sizeof(buf),
                                                &user, on ? 1 : 0,
                                                &user, on ? 0 : 1));
}


static void
ngx_chat_notice_counted(ngx_chat_zone_t *zone, uint64_t app,
    ngx_str_t *channel, ngx_uint_t n)
{
    u_char  buf[NGX_CHAT_NOTICE_SIZE];

    ngx_chat_notice_append(zone, app, channel, buf,
                ngx_chat_event_render_subscription_count(buf, sizeof(buf),
                                                         channel, n));

    ngx_chat_notice_hook(zone, NGX_CHAT_HOOK_COUNT_e, app, channel, NULL, n);
}


static void
ngx_chat_notice_joined(ngx_chat_zone_t *zone, uint64_t app,
    ngx_str_t *channel, ngx_str_t *user)
{
    ngx_chat_notice_hook(zone, NGX_CHAT_HOOK_ADDED_e, app, channel, user, 0);
}


/* On one node the session has rendered it before the lock was taken. */

static void
ngx_chat_notice_added(ngx_chat_zone_t *zone, uint64_t app, ngx_str_t *channel,
    ngx_str_t *user, ngx_str_t *info)
{
    u_char  buf[NGX_CHAT_NOTICE_MEMBER];

    ngx_chat_notice_append(zone, app, channel, buf,
                ngx_chat_event_render_member_added(buf, sizeof(buf), channel,
                                                   user, info));
}


static void
ngx_chat_notice_missed(ngx_chat_zone_t *zone, uint64_t app,
    ngx_str_t *channel)
{
    ngx_chat_notice_hook(zone, NGX_CHAT_HOOK_CACHE_MISS_e, app, channel, NULL,
                         0);
}


static void
ngx_chat_notice_append(ngx_chat_zone_t *zone, uint64_t app,
    ngx_str_t *channel, u_char *payload, ssize_t len)
{
    ngx_chat_envelope_t  e;

    if (len == NGX_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                      "chat could not render an event of \"%V\"", channel);
        return;
    }

    ngx_memzero(&e, sizeof(ngx_chat_envelope_t));

    e.type = NGX_CHAT_ENVELOPE_NOTICE_e;
    e.app = app;
    e.hash = ngx_chat_registry_hash(zone, app, channel);
    e.channel = *channel;
    e.payload.data = payload;
    e.payload.len = len;

    (void) ngx_chat_index_append(zone, &e, NULL);
}


/* Tells webhooks; a name that begins with "#" is none of the app's. */

static void
ngx_chat_notice_hook(ngx_chat_zone_t *zone, ngx_uint_t kind, uint64_t app,
    ngx_str_t *channel, ngx_str_t *user, ngx_uint_t n)
{
    ngx_chat_hook_record_t  rec;

    if (!ngx_chat_hook_is_wanted(zone, kind) || channel->data[0] == '#') {
        return;
    }

    ngx_memzero(&rec, sizeof(ngx_chat_hook_record_t));

    rec.kind = kind;
    rec.app = app;
    rec.channel = *channel;
    rec.number = n;

    if (user) {
        rec.user = *user;
    }

    ngx_chat_hook_append(zone, &rec);
}
