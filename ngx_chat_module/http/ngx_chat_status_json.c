
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * chat_status as JSON.  All numbers are whole: times are in microseconds.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <nginx.h>

#include <http/ngx_chat_http_module.h>
#include <http/ngx_chat_status_table.h>


static void ngx_chat_status_json_counter(ngx_chat_json_write_t *w,
    const ngx_chat_status_counter_t *c, uint64_t *counters);
static void ngx_chat_status_json_memory(ngx_chat_json_write_t *w,
    ngx_chat_stats_t  *t);
static void ngx_chat_status_json_store(ngx_chat_json_write_t *w,
    ngx_chat_status_t *st);
static void ngx_chat_status_json_commits(ngx_chat_json_write_t *w,
    ngx_chat_status_t *st);
static void ngx_chat_status_json_columns(ngx_chat_json_write_t *w,
    const ngx_chat_status_column_t  *column, void *p);


void
ngx_chat_status_json(ngx_chat_json_write_t *w, void *data)
{
    ngx_chat_status_t *st = data;

    ngx_uint_t                        i;
    ngx_chat_stats_t                 *t;
    const ngx_chat_status_counter_t  *c;

    t = &st->stats;

    ngx_chat_json_write_object(w);

    ngx_chat_json_write_key(w, "version");
    ngx_chat_json_write_cstring(w, NGX_CHAT_VERSION);
    ngx_chat_json_write_key(w, "nginx");
    ngx_chat_json_write_cstring(w, NGINX_VERSION);

    ngx_chat_json_write_key_uint(w, "uptime_seconds", t->uptime / 1000);
    ngx_chat_json_write_key_uint(w, "workers", t->nworkers);
    ngx_chat_json_write_key_uint(w, "channels", t->channels);
    ngx_chat_json_write_key_uint(w, "members", t->members);
    ngx_chat_json_write_key_uint(w, "members_in_grace", t->grace);

    for (c = ngx_chat_status_counters; c->n; c++) {
        ngx_chat_status_json_counter(w, c, t->counters);
    }

    ngx_chat_json_write_key_uint(w, "bus_position_bytes", t->position);

    ngx_chat_status_json_memory(w, t);

    if (st->is_stored) {
        ngx_chat_status_json_store(w, st);
    }

    if (t->has_hooks) {
        ngx_chat_json_write_key(w, "webhooks");
        ngx_chat_json_write_object(w);
        ngx_chat_json_write_key_uint(w, "queued", t->hooks_queued);
        ngx_chat_json_write_key_uint(w, "dead", t->hooks_dead);
        ngx_chat_json_write_key_uint(w, "lag_milliseconds", t->hooks_lag);
        ngx_chat_json_write_object_end(w);
    }

    if (st->cluster) {
        ngx_chat_status_cluster_json(w, st->cluster);
    }

    ngx_chat_json_write_key(w, "per_worker");
    ngx_chat_json_write_array(w);

    for (i = 0; i < t->nworkers; i++) {
        ngx_chat_json_write_object(w);
        ngx_chat_json_write_key_uint(w, "pid", t->workers[i].pid);
        ngx_chat_status_json_columns(w, ngx_chat_status_workers,
                                     &t->workers[i]);
        ngx_chat_json_write_object_end(w);
    }

    ngx_chat_json_write_array_end(w);

    ngx_chat_json_write_key(w, "per_app");
    ngx_chat_json_write_array(w);

    for (i = 0; i < st->napps; i++) {
        ngx_chat_json_write_object(w);
        ngx_chat_json_write_key(w, "app");
        ngx_chat_json_write_string(w, &st->apps[i].id);
        ngx_chat_status_json_columns(w, ngx_chat_status_apps,
                                     &st->apps[i].stats);
        ngx_chat_json_write_object_end(w);
    }

    ngx_chat_json_write_array_end(w);

    ngx_chat_json_write_object_end(w);
}


static void
ngx_chat_status_json_counter(ngx_chat_json_write_t *w,
    const ngx_chat_status_counter_t *c, uint64_t *counters)
{
    uint64_t    sum;
    ngx_uint_t  i;

    sum = 0;

    for (i = 0; i < c->n; i++) {
        sum += counters[c->first + i];
    }

    ngx_chat_json_write_key_uint(w, c->key, sum);

    if (c->list == NULL) {
        return;
    }

    ngx_chat_json_write_key(w, c->list);
    ngx_chat_json_write_object(w);

    for (i = 0; i < c->n; i++) {
        ngx_chat_json_write_key_uint(w, c->values[i], counters[c->first + i]);
    }

    ngx_chat_json_write_object_end(w);
}


static void
ngx_chat_status_json_memory(ngx_chat_json_write_t *w, ngx_chat_stats_t *t)
{
    ngx_uint_t              i;
    ngx_chat_stats_part_t  *part;

    part = &t->parts[NGX_CHAT_STATS_ARENA_e];

    ngx_chat_json_write_key_uint(w, "zone_used_bytes", part->used);
    ngx_chat_json_write_key_uint(w, "zone_size_bytes", part->used + part->free);

    ngx_chat_json_write_key(w, "memory");
    ngx_chat_json_write_object(w);

    for (i = 0; i < NGX_CHAT_STATS_PARTS_e; i++) {
        ngx_chat_json_write_key(w, ngx_chat_status_parts[i]);
        ngx_chat_json_write_object(w);
        ngx_chat_json_write_key_uint(w, "used_bytes", t->parts[i].used);
        ngx_chat_json_write_key_uint(w, "free_bytes", t->parts[i].free);
        ngx_chat_json_write_object_end(w);
    }

    ngx_chat_json_write_object_end(w);
}


static void
ngx_chat_status_json_store(ngx_chat_json_write_t *w, ngx_chat_status_t *st)
{
    ngx_chat_json_write_key(w, "store");
    ngx_chat_json_write_object(w);

    ngx_chat_json_write_key_uint(w, "queued",
                              st->stats.counters[NGX_CHAT_QUEUED_e]);
    ngx_chat_json_write_key_uint(w, "reads", st->store.reads);
    ngx_chat_json_write_key_uint(w, "reads_queued",
                              st->stats.counters[NGX_CHAT_READS_QUEUED_e]);
    ngx_chat_json_write_key_uint(w, "page_bytes",
                              st->stats.counters[NGX_CHAT_PAGE_BYTES_e]);
    ngx_chat_json_write_key_uint(w, "batches_busy", st->store.busy);
    ngx_chat_json_write_key_uint(w, "batches_failed", st->store.failed);
    ngx_chat_json_write_key_uint(w, "database_bytes", st->store.database);
    ngx_chat_json_write_key_uint(w, "wal_bytes", st->store.wal);
    ngx_chat_json_write_key_uint(w, "commits", st->commits);
    ngx_chat_json_write_key_uint(w, "commits_microseconds", st->store.usec);

    ngx_chat_status_json_commits(w, st);

    ngx_chat_json_write_object_end(w);
}


/* How many commits took at most so long, as in Prometheus' text. */

static void
ngx_chat_status_json_commits(ngx_chat_json_write_t *w, ngx_chat_status_t *st)
{
    uint64_t    sum;
    ngx_uint_t  i;

    sum = 0;

    ngx_chat_json_write_key(w, "commit_times");
    ngx_chat_json_write_array(w);

    for (i = 0; i < NGX_CHAT_STORE_STATS_BUCKETS; i++) {

        sum += st->store.commits[i];

        ngx_chat_json_write_object(w);
        ngx_chat_json_write_key(w, "microseconds");

        if (i < NGX_CHAT_STORE_STATS_BUCKETS - 1) {
            ngx_chat_json_write_uint(w, ngx_chat_store_stats_bounds[i]);

        } else {
            ngx_chat_json_write_null(w);
        }

        ngx_chat_json_write_key_uint(w, "commits", sum);
        ngx_chat_json_write_object_end(w);
    }

    ngx_chat_json_write_array_end(w);
}


/* The numbers of a worker or an app. */

static void
ngx_chat_status_json_columns(ngx_chat_json_write_t *w,
    const ngx_chat_status_column_t *column, void *p)
{
    for (/* void */ ; column->key; column++) {
        ngx_chat_json_write_key_uint(w, column->key,
                                     ngx_chat_status_column_value(p, column));
    }
}
