
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * chat_status as Prometheus' text.  The number of lines has a bound: labels
 * are reasons, parts, buckets, the workers that are there, and the apps that
 * are configured.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <nginx.h>

#include <http/ngx_chat_http_module.h>
#include <http/ngx_chat_status_table.h>


static void ngx_chat_status_prometheus_counter(ngx_chat_metrics_t *m,
    const ngx_chat_status_counter_t *c, uint64_t *counters);
static void ngx_chat_status_prometheus_memory(ngx_chat_metrics_t *m,
    ngx_chat_stats_t  *t);
static void ngx_chat_status_prometheus_store(ngx_chat_metrics_t *m,
    ngx_chat_status_t *st);
static void ngx_chat_status_prometheus_commits(ngx_chat_metrics_t *m,
    ngx_chat_status_t *st);
static void ngx_chat_status_prometheus_hooks(ngx_chat_metrics_t *m,
    ngx_chat_stats_t *t);
static void ngx_chat_status_prometheus_workers(ngx_chat_metrics_t *m,
    const ngx_chat_status_column_t  *column, ngx_chat_stats_t *t);
static void ngx_chat_status_prometheus_apps(ngx_chat_metrics_t *m,
    const ngx_chat_status_column_t  *column, ngx_chat_status_t *st);


size_t
ngx_chat_status_prometheus(ngx_chat_status_t *st, u_char *buf, size_t size)
{
    ngx_chat_stats_t                 *t;
    ngx_chat_metrics_t                m;
    const ngx_chat_status_column_t   *column;
    const ngx_chat_status_counter_t  *c;

    t = &st->stats;

    ngx_chat_metrics_init(&m, buf, size);

    ngx_chat_metrics_begin(&m, "ngx_chat_build_info", "gauge",
                           "The version of the module, and of nginx.");
    ngx_chat_metrics_sample(&m, "{version=\"" NGX_CHAT_VERSION "\",nginx=\""
                            NGINX_VERSION "\"}", NULL, NULL, 1);

    ngx_chat_metrics_begin(&m, "ngx_chat_uptime_seconds", "gauge",
                           "Time since the shared memory was made.");
    ngx_chat_metrics_sample_part(&m, "", NULL, NULL, t->uptime,
                                 NGX_CHAT_METRICS_MSEC);

    ngx_chat_status_metric(&m, "ngx_chat_workers",
                           "Workers that are there, of old configurations, "
                           "too.", t->nworkers);
    ngx_chat_status_metric(&m, "ngx_chat_channels",
                           "Channels with at least one subscription.",
                           t->channels);
    ngx_chat_status_metric(&m, "ngx_chat_members",
                           "Users in presence channels, one in each.",
                           t->members);

    ngx_chat_status_metric(&m, "ngx_chat_members_in_grace",
                           "Of these, those whose last connection was cut.",
                           t->grace);

    for (c = ngx_chat_status_counters; c->n; c++) {
        if (c->metric) {
            ngx_chat_status_prometheus_counter(&m, c, t->counters);
        }
    }

    ngx_chat_status_metric(&m, "ngx_chat_bus_position_bytes",
                           "Bytes that have gone through the ring.",
                           t->position);

    ngx_chat_status_prometheus_memory(&m, t);

    if (st->is_stored) {
        ngx_chat_status_prometheus_store(&m, st);
        ngx_chat_status_prometheus_commits(&m, st);
    }

    if (t->has_hooks) {
        ngx_chat_status_prometheus_hooks(&m, t);
    }

    if (st->cluster) {
        ngx_chat_status_cluster_prometheus(&m, st->cluster);
    }

    for (column = ngx_chat_status_workers; column->key; column++) {
        ngx_chat_status_prometheus_workers(&m, column, t);
    }

    for (column = ngx_chat_status_apps; column->key; column++) {
        ngx_chat_status_prometheus_apps(&m, column, st);
    }

    return ngx_chat_metrics_done(&m);
}


void
ngx_chat_status_metric(ngx_chat_metrics_t *m, const char *name,
    const char *help, uint64_t n)
{
    ngx_chat_metrics_begin(m, name, "gauge", help);
    ngx_chat_metrics_sample(m, "", NULL, NULL, n);
}


void
ngx_chat_status_total(ngx_chat_metrics_t *m, const char *name,
    const char *help, uint64_t n)
{
    ngx_chat_metrics_begin(m, name, "counter", help);
    ngx_chat_metrics_sample(m, "", NULL, NULL, n);
}


static void
ngx_chat_status_prometheus_counter(ngx_chat_metrics_t *m,
    const ngx_chat_status_counter_t *c, uint64_t *counters)
{
    ngx_uint_t  i;

    ngx_chat_metrics_begin(m, c->metric,
                           (c->first < NGX_CHAT_GAUGES_e) ? "gauge"
                                                          : "counter",
                           c->help);

    if (c->label == NULL) {
        ngx_chat_metrics_sample(m, "", NULL, NULL, counters[c->first]);
        return;
    }

    for (i = 0; i < c->n; i++) {
        ngx_chat_metrics_sample(m, "", c->label, c->values[i],
                                counters[c->first + i]);
    }
}


static void
ngx_chat_status_prometheus_memory(ngx_chat_metrics_t *m, ngx_chat_stats_t *t)
{
    ngx_uint_t  i;

    ngx_chat_metrics_begin(m, "ngx_chat_memory_used_bytes", "gauge",
                           "Shared memory in use; cached_events and answers "
                           "are in the arena.");

    for (i = 0; i < NGX_CHAT_STATS_PARTS_e; i++) {
        ngx_chat_metrics_sample(m, "", "part", ngx_chat_status_parts[i],
                                t->parts[i].used);
    }

    ngx_chat_metrics_begin(m, "ngx_chat_memory_free_bytes", "gauge",
                           "Shared memory that the part may still take; the "
                           "ring is full when it has been through once.");

    for (i = 0; i < NGX_CHAT_STATS_PARTS_e; i++) {
        ngx_chat_metrics_sample(m, "", "part", ngx_chat_status_parts[i],
                                t->parts[i].free);
    }
}


static void
ngx_chat_status_prometheus_store(ngx_chat_metrics_t *m, ngx_chat_status_t *st)
{
    ngx_chat_status_metric(m, "ngx_chat_store_queue_messages",
                           "Messages that are taken and not committed yet.",
                           st->stats.counters[NGX_CHAT_QUEUED_e]);

    ngx_chat_status_total(m, "ngx_chat_store_reads_total",
                          "Pages of history that were read.",
                          st->store.reads);

    ngx_chat_status_metric(m, "ngx_chat_store_queue_reads",
                           "Pages of history that wait to be read.",
                           st->stats.counters[NGX_CHAT_READS_QUEUED_e]);

    ngx_chat_status_metric(m, "ngx_chat_store_page_bytes",
                           "Bytes of pages that clients have not taken yet, "
                           "and that those being read may have.",
                           st->stats.counters[NGX_CHAT_PAGE_BYTES_e]);

    ngx_chat_metrics_begin(m, "ngx_chat_store_batches_failed_total",
                           "counter",
                           "Batches of messages that could not be committed: "
                           "locked out too long, or for an error.");
    ngx_chat_metrics_sample(m, "", "reason", "busy", st->store.busy);
    ngx_chat_metrics_sample(m, "", "reason", "error", st->store.failed);

    ngx_chat_status_metric(m, "ngx_chat_database_size_bytes",
                           "Size of the database file, about a second ago.",
                           st->store.database);
    ngx_chat_status_metric(m, "ngx_chat_database_wal_size_bytes",
                           "Size of its write-ahead log.", st->store.wal);
}


static void
ngx_chat_status_prometheus_commits(ngx_chat_metrics_t *m, ngx_chat_status_t *st)
{
    char        buf[NGX_CHAT_METRICS_NUMBER];
    uint64_t    sum;
    ngx_uint_t  i;

    sum = 0;

    ngx_chat_metrics_begin(m, "ngx_chat_store_commit_seconds", "histogram",
                           "Times of commits, each of a batch of messages.");

    for (i = 0; i < NGX_CHAT_STORE_STATS_BUCKETS - 1; i++) {
        sum += st->store.commits[i];

        ngx_chat_metrics_sample(m, "_bucket", "le",
                       ngx_chat_metrics_number(buf,
                                               ngx_chat_store_stats_bounds[i],
                                               NGX_CHAT_METRICS_USEC),
                       sum);
    }

    ngx_chat_metrics_sample(m, "_bucket", "le", "+Inf", st->commits);

    ngx_chat_metrics_sample_part(m, "_sum", NULL, NULL, st->store.usec,
                                 NGX_CHAT_METRICS_USEC);
    ngx_chat_metrics_sample(m, "_count", NULL, NULL, st->commits);
}


static void
ngx_chat_status_prometheus_hooks(ngx_chat_metrics_t *m, ngx_chat_stats_t *t)
{
    ngx_chat_status_metric(m, "ngx_chat_webhook_queue_events",
                           "Events of webhooks that wait to be sent.",
                           t->hooks_queued);
    ngx_chat_status_metric(m, "ngx_chat_webhook_dead_events",
                           "Events of webhooks that were given up, and are "
                           "kept.", t->hooks_dead);

    ngx_chat_metrics_begin(m, "ngx_chat_webhook_lag_seconds", "gauge",
                           "Age of the oldest event that waits.");
    ngx_chat_metrics_sample_part(m, "", NULL, NULL, t->hooks_lag,
                                 NGX_CHAT_METRICS_MSEC);
}


static void
ngx_chat_status_prometheus_workers(ngx_chat_metrics_t *m,
    const ngx_chat_status_column_t *column, ngx_chat_stats_t *t)
{
    char                      buf[NGX_CHAT_METRICS_NUMBER], *pid;
    ngx_uint_t                i;
    ngx_chat_stats_worker_t  *w;

    ngx_chat_metrics_begin(m, column->metric, column->type, column->help);

    for (i = 0; i < t->nworkers; i++) {
        w = &t->workers[i];
        pid = ngx_chat_metrics_number(buf, w->pid, 1);

        ngx_chat_metrics_sample_part(m, "", "pid", pid,
                                     ngx_chat_status_column_value(w, column),
                                     column->unit);
    }
}


/* An app's id has no character that needs an escape. */

static void
ngx_chat_status_prometheus_apps(ngx_chat_metrics_t *m,
    const ngx_chat_status_column_t *column, ngx_chat_status_t *st)
{
    ngx_uint_t              i;
    ngx_chat_status_app_t  *app;

    if (st->napps == 0) {
        return;
    }

    ngx_chat_metrics_begin(m, column->metric, column->type, column->help);

    for (i = 0; i < st->napps; i++) {
        app = &st->apps[i];

        ngx_chat_metrics_sample(m, "", "app", (char *) app->id.data,
                                ngx_chat_status_column_value(&app->stats,
                                                             column));
    }
}
