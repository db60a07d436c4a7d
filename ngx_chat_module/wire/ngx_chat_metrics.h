
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Writer of Prometheus' text format, version 0.0.4.  Pure.
 *
 * A writer without a buffer only counts, as in ngx_chat_json_write.h.  Names
 * and labels are ASCII that needs no escapes.
 */


#ifndef _NGX_CHAT_METRICS_H_INCLUDED_
#define _NGX_CHAT_METRICS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_CHAT_METRICS_USEC  1000000     /* for sample_part() */
#define NGX_CHAT_METRICS_MSEC  1000


typedef struct {
    u_char            *buf;            /* NULL: only count */
    size_t             len;            /* written or counted so far */
    size_t             size;           /* of buf */
    const char        *name;           /* of the current metric */
} ngx_chat_metrics_t;


void ngx_chat_metrics_init(ngx_chat_metrics_t *m, u_char *buf, size_t size);

/*
 * The length of the text.  Where it is more than size, the buffer was too
 * small and its contents must not be used.
 */
size_t ngx_chat_metrics_done(ngx_chat_metrics_t *m);

/* Begins a metric: type is "counter", "gauge" or "histogram". */
void ngx_chat_metrics_begin(ngx_chat_metrics_t *m, const char *name,
    const char *type, const char *help);

/*
 * Writes a line of the metric.  suffix is "" or a histogram's; label is NULL
 * for a line without labels.
 */
void ngx_chat_metrics_sample(ngx_chat_metrics_t *m, const char *suffix,
    const char *label, const char *value, uint64_t n);

/* The same, with the number n / unit: 1500 / 1000 is 1.5. */
void ngx_chat_metrics_sample_part(ngx_chat_metrics_t *m, const char *suffix,
    const char *label, const char *value, uint64_t n, uint64_t unit);

/*
 * n / unit as text, in buf of NGX_CHAT_METRICS_NUMBER; NUL-terminated.  unit
 * is a power of ten up to NGX_CHAT_METRICS_USEC.
 */
#define NGX_CHAT_METRICS_NUMBER  48

char *ngx_chat_metrics_number(char *buf, uint64_t n, uint64_t unit);


#endif /* _NGX_CHAT_METRICS_H_INCLUDED_ */
