
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Writer of Prometheus' text format.  Pure.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <stdio.h>

#include <wire/ngx_chat_metrics.h>


static void ngx_chat_metrics_add(ngx_chat_metrics_t *m, const char *text);


void
ngx_chat_metrics_init(ngx_chat_metrics_t *m, u_char *buf, size_t size)
{
    m->buf = buf;
    m->len = 0;
    m->size = size;
    m->name = "";
}


size_t
ngx_chat_metrics_done(ngx_chat_metrics_t *m)
{
    return m->len;
}


void
ngx_chat_metrics_begin(ngx_chat_metrics_t *m, const char *name,
    const char *type, const char *help)
{
    m->name = name;

    ngx_chat_metrics_add(m, "# HELP ");
    ngx_chat_metrics_add(m, name);
    ngx_chat_metrics_add(m, " ");
    ngx_chat_metrics_add(m, help);
    ngx_chat_metrics_add(m, "\n# TYPE ");
    ngx_chat_metrics_add(m, name);
    ngx_chat_metrics_add(m, " ");
    ngx_chat_metrics_add(m, type);
    ngx_chat_metrics_add(m, "\n");
}


void
ngx_chat_metrics_sample(ngx_chat_metrics_t *m, const char *suffix,
    const char *label, const char *value, uint64_t n)
{
    ngx_chat_metrics_sample_part(m, suffix, label, value, n, 1);
}


void
ngx_chat_metrics_sample_part(ngx_chat_metrics_t *m, const char *suffix,
    const char *label, const char *value, uint64_t n, uint64_t unit)
{
    char  buf[NGX_CHAT_METRICS_NUMBER];

    ngx_chat_metrics_add(m, m->name);
    ngx_chat_metrics_add(m, suffix);

    if (label != NULL) {
        ngx_chat_metrics_add(m, "{");
        ngx_chat_metrics_add(m, label);
        ngx_chat_metrics_add(m, "=\"");
        ngx_chat_metrics_add(m, value);
        ngx_chat_metrics_add(m, "\"}");
    }

    ngx_chat_metrics_add(m, " ");
    ngx_chat_metrics_add(m, ngx_chat_metrics_number(buf, n, unit));
    ngx_chat_metrics_add(m, "\n");
}


char *
ngx_chat_metrics_number(char *buf, uint64_t n, uint64_t unit)
{
    char      *p;
    uint64_t   rest, digit;

    p = buf + sprintf(buf, "%lu", (unsigned long) (n / unit));

    rest = n % unit;

    if (rest) {
        *p++ = '.';
    }

    while (rest) {
        rest *= 10;
        digit = rest / unit;
        rest -= digit * unit;
        *p++ = (char) ('0' + digit);
    }

    *p = '\0';

    return buf;
}


static void
ngx_chat_metrics_add(ngx_chat_metrics_t *m, const char *text)
{
    size_t  len;

    len = strlen(text);

    if (m->buf != NULL && m->len <= m->size && len <= m->size - m->len) {
        ngx_memcpy(m->buf + m->len, text, len);
    }

    m->len += len;
}
