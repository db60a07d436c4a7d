
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * An event whose data is text in a string, most often JSON, written at once.
 * Pure.
 *
 * yajl's generator escapes once, so it would need a buffer for the text of
 * data besides the one for the frame; a list of presence members may be
 * megabytes.  Here each piece of data is escaped as it comes, a string in it
 * twice.  Counts with buf == NULL.  A byte that is not UTF-8 becomes U+FFFD.
 * That the pieces make JSON is up to the caller.
 */


#ifndef _NGX_CHAT_EVENT_TEXT_H_INCLUDED_
#define _NGX_CHAT_EVENT_TEXT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef struct {
    u_char            *buf;            /* NULL: only count */
    size_t             len;
    size_t             size;

    unsigned           failed:1;       /* buffer too small */
} ngx_chat_event_text_t;


/* Up to the opening quote of data; channel NULL is left out. */
void ngx_chat_event_text_begin(ngx_chat_event_text_t *t, u_char *buf,
    size_t size, const char *event, ngx_str_t *channel);
void ngx_chat_event_text_begin_event(ngx_chat_event_text_t *t, u_char *buf,
    size_t size, ngx_str_t *event, ngx_str_t *channel);

/* The length of the event, or NGX_ERROR. */
ssize_t ngx_chat_event_text_end(ngx_chat_event_text_t *t);

/* JSON text, or a part of it; or any text that is all of data. */
void ngx_chat_event_text_cstring(ngx_chat_event_text_t *t, const char *json);
void ngx_chat_event_text_json(ngx_chat_event_text_t *t, ngx_str_t *json);

/* Values. */
void ngx_chat_event_text_uint(ngx_chat_event_text_t *t, ngx_uint_t n);
void ngx_chat_event_text_string(ngx_chat_event_text_t *t, ngx_str_t *s);


#endif /* _NGX_CHAT_EVENT_TEXT_H_INCLUDED_ */
