
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What chat_status shows, and the two ways it is written.
 */


#ifndef _NGX_CHAT_STATUS_TABLE_H_INCLUDED_
#define _NGX_CHAT_STATUS_TABLE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_stats.h>
#include <store/ngx_chat_store_stats.h>
#include <wire/ngx_chat_json_write.h>


/* What is shown of each app. */

typedef struct {
    ngx_str_t                  id;         /* NUL-terminated */
    ngx_chat_stats_app_t       stats;
} ngx_chat_status_app_t;


typedef struct {
    ngx_chat_stats_t           stats;
    ngx_chat_status_app_t     *apps;       /* of this configuration */
    ngx_uint_t                 napps;
    ngx_uint_t                 is_stored;  /* there is a chat_database */
    ngx_chat_store_stats_sh_t  store;      /* of it, at this moment */
    uint64_t                   commits;
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


/* A ngx_chat_render_pt; data is a ngx_chat_status_t. */
void ngx_chat_status_json(ngx_chat_json_write_t *w, void *data);

/* Returns the length, and writes where buf is not NULL. */
size_t ngx_chat_status_prometheus(ngx_chat_status_t *st, u_char *buf,
    size_t size);


#endif /* _NGX_CHAT_STATUS_TABLE_H_INCLUDED_ */
