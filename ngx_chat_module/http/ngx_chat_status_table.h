
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What chat_status shows, and the two ways it is written.
 */


#ifndef _NGX_CHAT_STATUS_TABLE_H_INCLUDED_
#define _NGX_CHAT_STATUS_TABLE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <link/ngx_chat_link.h>
#include <shared/ngx_chat_stats.h>
#include <store/ngx_chat_store_stats.h>
#include <wire/ngx_chat_json_write.h>
#include <wire/ngx_chat_metrics.h>


/* What is shown of each app. */

typedef struct {
    ngx_str_t                  id;         /* NUL-terminated */
    ngx_chat_stats_app_t       stats;
} ngx_chat_status_app_t;


/* A node's view of its cluster. */

typedef struct {
    ngx_str_t                  node;       /* its name */
    ngx_uint_t                 is_joined;
    ngx_uint_t                 is_isolated;
    uint64_t                   away;       /* ms that it has not been in it */
    uint64_t                   term;       /* 0: it is not in it */
    uint64_t                   applied;    /* number of the last event here */
    uint64_t                   behind;     /* events of the log that are not */
    uint64_t                   lost;       /* see ngx_chat_link_sh.h */
    uint64_t                   trimmed;
    ngx_chat_link_node_t       nodes[NGX_CHAT_LINK_NODES];
    ngx_uint_t                 nnodes;
    uint64_t                   now;        /* ms, by the monotonic clock */
} ngx_chat_status_cluster_t;


typedef struct {
    ngx_chat_stats_t           stats;
    ngx_chat_status_app_t     *apps;       /* of this configuration */
    ngx_uint_t                 napps;
    ngx_uint_t                 is_stored;  /* there is a chat_database */
    ngx_chat_store_stats_sh_t  store;      /* of it, at this moment */
    uint64_t                   commits;
    ngx_chat_status_cluster_t *cluster;    /* NULL: there is none */
} ngx_chat_status_t;


/* One counter, or a range of them that differ in a label's value. */

typedef struct {
    ngx_chat_counter_e        first;
    ngx_uint_t                n;
    const char               *key;         /* in JSON: the number, or the sum
                                              of the range; NULL: neither */
    const char               *list;        /* in JSON: the range; or NULL */
    const char               *metric;      /* NULL: only in JSON */
    const char               *help;
    const char               *label;       /* of the range */
    const char *const        *values;      /* as many as n */
} ngx_chat_status_counter_t;


/* A number that is shown of each worker, or of each app. */

typedef struct {
    const char               *key;
    const char               *metric;
    const char               *type;
    const char               *help;
    size_t                    offset;      /* of a uint64_t in
                                              ngx_chat_stats_worker_t, or in
                                              ngx_chat_stats_app_t */
    uint64_t                  unit;        /* in the metric, not in JSON */
} ngx_chat_status_column_t;


extern const ngx_chat_status_counter_t  ngx_chat_status_counters[];
extern const ngx_chat_status_column_t  ngx_chat_status_workers[];
extern const ngx_chat_status_column_t  ngx_chat_status_apps[];

/* The parts of shared memory, in the order of ngx_chat_stats_part_e. */
extern const char *const  ngx_chat_status_parts[];


#define ngx_chat_status_column_value(p, column)                               \
    (*(uint64_t *) ((u_char *) (p) + (column)->offset))


void ngx_chat_status_cluster(ngx_chat_link_conf_t *link,
    ngx_chat_status_cluster_t *c);
void ngx_chat_status_cluster_json(ngx_chat_json_write_t *w,
    ngx_chat_status_cluster_t *c);
void ngx_chat_status_cluster_prometheus(ngx_chat_metrics_t *m,
    ngx_chat_status_cluster_t *c);

/* A gauge of one line, and a counter. */
void ngx_chat_status_metric(ngx_chat_metrics_t *m, const char *name,
    const char *help, uint64_t n);
void ngx_chat_status_total(ngx_chat_metrics_t *m, const char *name,
    const char *help, uint64_t n);

/* A ngx_chat_render_pt; data is a ngx_chat_status_t. */
void ngx_chat_status_json(ngx_chat_json_write_t *w, void *data);

/* Returns the length, and writes where buf is not NULL. */
size_t ngx_chat_status_prometheus(ngx_chat_status_t *st, u_char *buf,
    size_t size);


#endif /* _NGX_CHAT_STATUS_TABLE_H_INCLUDED_ */
