
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Events as texts: the format of server-sent events (WHATWG HTML, section
 * "Server-sent events"), or JSON.
 *
 * A line of server-sent events ends at CR, LF, or both.  Data with several
 * lines is given in several fields, and clients put an LF between them.  In a
 * name, which may come from any client, a line's end would begin a field of the
 * sender's choice, so it becomes a space.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <events/ngx_chat_events_text.h>
#include <wire/ngx_chat_json.h>
#include <wire/ngx_chat_json_write.h>


#define NGX_CHAT_EVENTS_TEXT_FIRST  4096
#define NGX_CHAT_EVENTS_TEXT_KEEP   (1024 * 1024)  /* more is given back */


static ngx_int_t ngx_chat_events_text_reserve(ngx_chat_events_text_t *t,
    size_t len);
static ngx_int_t ngx_chat_events_text_field(ngx_chat_events_text_t *t,
    const char *name, ngx_str_t *value);
static ngx_int_t ngx_chat_events_text_data(ngx_chat_events_text_t *t,
    ngx_str_t *data);
static size_t ngx_chat_events_text_line(u_char *p, u_char *last,
    u_char **next);
static ngx_int_t ngx_chat_events_text_json(ngx_chat_events_text_t *t,
    ngx_str_t *id, ngx_chat_events_event_t *e);
static ssize_t ngx_chat_events_text_object(u_char *buf, size_t size,
    ngx_str_t *id, ngx_chat_events_event_t *e);
static void *ngx_chat_events_text_alloc(void *ctx, size_t size);


void
ngx_chat_events_text_reset(ngx_chat_events_text_t *t)
{
    t->len = 0;
    t->n = 0;

    if (t->size > NGX_CHAT_EVENTS_TEXT_KEEP) {
        ngx_free(t->data);
        t->data = NULL;
        t->size = 0;
    }
}


ngx_int_t
ngx_chat_events_text_write(ngx_chat_events_text_t *t, u_char *p, size_t len)
{
    if (ngx_chat_events_text_reserve(t, len) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_memcpy(t->data + t->len, p, len);
    t->len += len;

    return NGX_OK;
}


ngx_int_t
ngx_chat_events_text_add(ngx_chat_events_text_t *t,
    ngx_chat_events_form_e form, ngx_str_t *id, ngx_chat_events_event_t *e)
{
    size_t     before;
    ngx_int_t  rc;

    before = t->len;

    if (form == NGX_CHAT_EVENTS_POLL_e) {
        rc = t->n ? ngx_chat_events_text_write(t, (u_char *) ",", 1) : NGX_OK;

        if (rc == NGX_OK) {
            rc = ngx_chat_events_text_json(t, id, e);
        }

    } else {
        rc = ngx_chat_events_text_field(t, "id: ", id);

        if (rc == NGX_OK) {
            rc = ngx_chat_events_text_field(t, "event: ", &e->event);
        }

        if (rc == NGX_OK && form == NGX_CHAT_EVENTS_DATA_e) {
            rc = ngx_chat_events_text_data(t, &e->data);

        } else if (rc == NGX_OK) {
            rc = ngx_chat_events_text_write(t, (u_char *) "data: ", 6);

            if (rc == NGX_OK) {
                rc = ngx_chat_events_text_json(t, NULL, e);
            }

            if (rc == NGX_OK) {
                rc = ngx_chat_events_text_write(t, (u_char *) "\n", 1);
            }
        }

        if (rc == NGX_OK) {
            rc = ngx_chat_events_text_write(t, (u_char *) "\n", 1);
        }
    }

    if (rc != NGX_OK) {
        t->len = before;
        return NGX_ERROR;
    }

    t->n++;

    return NGX_OK;
}


ngx_int_t
ngx_chat_events_text_add_payload(ngx_chat_events_text_t *t,
    ngx_chat_events_form_e form, ngx_str_t *id, ngx_str_t *channel,
    ngx_str_t *payload, ngx_pool_t *pool, ngx_log_t *log)
{
    ngx_int_t                 rc;
    ngx_chat_json_t           j;
    ngx_chat_json_value_t    *value;
    ngx_chat_events_event_t   e;

    j.alloc = ngx_chat_events_text_alloc;
    j.ctx = pool;

    rc = ngx_chat_json_parse(&j, payload->data, payload->len, &value);

    e.channel = *channel;

    if (rc == NGX_OK
        && (ngx_chat_json_string(value, "event", &e.event) != NGX_OK
            || ngx_chat_json_string(value, "data", &e.data) != NGX_OK))
    {
        rc = NGX_DECLINED;
    }

    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_ALERT, log, 0,
                      "chat event of %uz bytes is not as its publisher makes "
                      "it, readers don't get it", payload->len);
        return NGX_OK;
    }

    if (rc == NGX_OK) {
        rc = ngx_chat_events_text_add(t, form, id, &e);
    }

    return rc;
}


static ngx_int_t
ngx_chat_events_text_reserve(ngx_chat_events_text_t *t, size_t len)
{
    size_t   size;
    u_char  *p;

    if (len <= t->size - t->len) {
        return NGX_OK;
    }

    size = ngx_max(t->size * 2, NGX_CHAT_EVENTS_TEXT_FIRST);
    size = ngx_max(size, t->len + len);

    p = realloc(t->data, size);

    if (p == NULL) {
        return NGX_ERROR;
    }

    t->data = p;
    t->size = size;

    return NGX_OK;
}


/* A field whose value has one line. */

static ngx_int_t
ngx_chat_events_text_field(ngx_chat_events_text_t *t, const char *name,
    ngx_str_t *value)
{
    u_char  *p, *last;
    size_t   len;

    len = ngx_strlen(name);

    if (ngx_chat_events_text_reserve(t, len + value->len + 1) != NGX_OK) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(t->data + t->len, name, len);
    last = ngx_cpymem(p, value->data, value->len);

    for ( /* void */ ; p < last; p++) {
        if (*p == CR || *p == LF || *p == '\0') {
            *p = ' ';
        }
    }

    *p = LF;
    t->len += len + value->len + 1;

    return NGX_OK;
}


static ngx_int_t
ngx_chat_events_text_data(ngx_chat_events_text_t *t, ngx_str_t *data)
{
    u_char     *p, *last, *next;
    ngx_str_t   line;

    p = data->data;
    last = p + data->len;

    for ( ;; ) {
        line.data = p;
        line.len = ngx_chat_events_text_line(p, last, &next);

        if (ngx_chat_events_text_field(t, "data: ", &line) != NGX_OK) {
            return NGX_ERROR;
        }

        if (next == NULL) {
            return NGX_OK;
        }

        p = next;
    }
}


/* The length of the line at p; *next is the next one, or NULL. */

static size_t
ngx_chat_events_text_line(u_char *p, u_char *last, u_char **next)
{
    u_char  *end;

    for (end = p; end < last && *end != CR && *end != LF; end++) {
        /* void */
    }

    if (end == last) {
        *next = NULL;

    } else if (*end == CR && end + 1 < last && end[1] == LF) {
        *next = end + 2;

    } else {
        *next = end + 1;
    }

    return end - p;
}


static ngx_int_t
ngx_chat_events_text_json(ngx_chat_events_text_t *t, ngx_str_t *id,
    ngx_chat_events_event_t *e)
{
    ssize_t  len;

    len = ngx_chat_events_text_object(NULL, 0, id, e);

    if (len == NGX_ERROR || ngx_chat_events_text_reserve(t, len) != NGX_OK) {
        return NGX_ERROR;
    }

    (void) ngx_chat_events_text_object(t->data + t->len, len, id, e);
    t->len += len;

    return NGX_OK;
}


/* Counts where buf is NULL. */

static ssize_t
ngx_chat_events_text_object(u_char *buf, size_t size, ngx_str_t *id,
    ngx_chat_events_event_t *e)
{
    ngx_chat_json_write_t  w;

    ngx_chat_json_write_init(&w, buf, size);
    ngx_chat_json_write_object(&w);

    ngx_chat_json_write_key(&w, "channel");
    ngx_chat_json_write_string(&w, &e->channel);

    ngx_chat_json_write_key(&w, "event");
    ngx_chat_json_write_string(&w, &e->event);

    ngx_chat_json_write_key(&w, "data");
    ngx_chat_json_write_string(&w, &e->data);

    if (id != NULL) {
        ngx_chat_json_write_key(&w, "id");
        ngx_chat_json_write_string(&w, id);
    }

    ngx_chat_json_write_object_end(&w);

    return ngx_chat_json_write_done(&w);
}


static void *
ngx_chat_events_text_alloc(void *ctx, size_t size)
{
    return ngx_palloc(ctx, size);
}
