
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Answers to requests with an idempotency key.
 *
 * A request leaves a note when it begins, and its answer at the end.  The note
 * says which worker has the request.  When that worker has died, and its slot
 * has been cleared, the note counts for nothing.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_cache.h>
#include <shared/ngx_chat_idempotency.h>
#include <shared/ngx_chat_registry.h>
#include <shared/ngx_chat_registry_query.h>


#define NGX_CHAT_IDEMPOTENCY_TTL   600         /* s */
#define NGX_CHAT_IDEMPOTENCY_WARN  60000       /* ms between alerts */


/* No answer begins with a zero.  "{}", the most common one, has no bytes. */

typedef struct {
    ngx_uint_t              zero;
    ngx_chat_slot_sh_t     *slot;
    ngx_pid_t               pid;
} ngx_chat_idempotency_note_t;


#define ngx_chat_idempotency_is_note(text)                                    \
    ((text)->len == sizeof(ngx_chat_idempotency_note_t)                       \
     && (text)->data[0] == '\0')


static ngx_uint_t ngx_chat_idempotency_is_first(ngx_chat_zone_t *zone,
    ngx_chat_idempotency_t *key, ngx_uint_t claim, ngx_log_t *log);
static ngx_uint_t ngx_chat_idempotency_is_lost(ngx_str_t *text);
static void ngx_chat_idempotency_warn(uint64_t before, uint64_t forgotten,
    ngx_log_t *log);


void
ngx_chat_idempotency_key(ngx_chat_idempotency_t *key, uint64_t app,
    u_char *digest, ngx_chat_slot_sh_t *slot)
{
    /* no channel's name begins with "!" */

    key->data[0] = '!';
    ngx_memcpy(&key->data[1], digest, NGX_CHAT_IDEMPOTENCY_KEY);

    key->app = app;
    key->name.data = key->data;
    key->name.len = sizeof(key->data);
    key->slot = slot;
}


ngx_int_t
ngx_chat_idempotency_begin(ngx_chat_zone_t *zone, ngx_chat_idempotency_t *key,
    ngx_uint_t claim, ngx_str_t *answer, ngx_pool_t *pool)
{
    ngx_int_t   rc;
    ngx_uint_t  ttl;

    if (ngx_chat_idempotency_is_first(zone, key, claim, pool->log)) {
        return NGX_OK;
    }

    rc = ngx_chat_registry_query_cached(zone, key->app, &key->name, answer,
                                        &ttl, pool);

    /* an answer that has gone in between: the first request has failed */

    if (rc == NGX_DECLINED
        || (rc == NGX_OK && ngx_chat_idempotency_is_note(answer)))
    {
        return NGX_BUSY;
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    if (answer->len == 0) {
        ngx_str_set(answer, "{}");
    }

    return NGX_DONE;
}


/* Leaves the note of the first request, if it is to. */

static ngx_uint_t
ngx_chat_idempotency_is_first(ngx_chat_zone_t *zone,
    ngx_chat_idempotency_t *key, ngx_uint_t claim, ngx_log_t *log)
{
    uint32_t                      hash;
    uint64_t                      before, forgotten;
    ngx_str_t                     text, answer;
    ngx_uint_t                    ttl, first;
    ngx_chat_idempotency_note_t   note;

    ngx_memzero(&note, sizeof(ngx_chat_idempotency_note_t));

    note.slot = key->slot;
    note.pid = ngx_pid;

    text.data = (u_char *) &note;
    text.len = sizeof(ngx_chat_idempotency_note_t);

    hash = ngx_chat_registry_hash(zone, key->app, &key->name);

    ngx_chat_zone_lock(zone);

    before = zone->sh->counters[NGX_CHAT_KEYS_FORGOTTEN_e];

    first = (ngx_chat_cache_get(zone, key->app, hash, &key->name, &answer,
                                &ttl)
             != NGX_OK
             || ngx_chat_idempotency_is_lost(&answer));

    if (first && claim) {
        ngx_chat_cache_set(zone, key->app, hash, &key->name, &text,
                           NGX_CHAT_IDEMPOTENCY_TTL);
    }

    forgotten = zone->sh->counters[NGX_CHAT_KEYS_FORGOTTEN_e];

    ngx_chat_zone_unlock(zone);

    ngx_chat_idempotency_warn(before, forgotten, log);

    return first;
}


/* With the zone's lock. */

static ngx_uint_t
ngx_chat_idempotency_is_lost(ngx_str_t *text)
{
    ngx_chat_idempotency_note_t  note;

    if (!ngx_chat_idempotency_is_note(text)) {
        return 0;
    }

    ngx_memcpy(&note, text->data, sizeof(ngx_chat_idempotency_note_t));

    return note.slot && note.slot->pid != note.pid;
}


void
ngx_chat_idempotency_end(ngx_chat_zone_t *zone, ngx_chat_idempotency_t *key,
    ngx_str_t *answer, ngx_log_t *log)
{
    uint32_t   hash;
    uint64_t   before, forgotten;
    ngx_str_t  text;

    ngx_str_set(&text, "");

    if (answer && answer->len > 2) {
        text = *answer;
    }

    hash = ngx_chat_registry_hash(zone, key->app, &key->name);

    ngx_chat_zone_lock(zone);

    before = zone->sh->counters[NGX_CHAT_KEYS_FORGOTTEN_e];

    ngx_chat_cache_set(zone, key->app, hash, &key->name, &text,
                       answer ? NGX_CHAT_IDEMPOTENCY_TTL : 0);

    forgotten = zone->sh->counters[NGX_CHAT_KEYS_FORGOTTEN_e];

    ngx_chat_zone_unlock(zone);

    ngx_chat_idempotency_warn(before, forgotten, log);
}


static void
ngx_chat_idempotency_warn(uint64_t before, uint64_t forgotten, ngx_log_t *log)
{
    static ngx_msec_t  last;

    if (forgotten == before
        || (last && ngx_current_msec - last < NGX_CHAT_IDEMPOTENCY_WARN))
    {
        return;
    }

    last = ngx_current_msec;

    ngx_log_error(NGX_LOG_ALERT, log, 0,
                  "chat has forgotten %uL idempotency keys of triggers before "
                  "their time, as chat_zone is too small for them", forgotten);
}
