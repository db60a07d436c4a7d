
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Webhooks (Pusher protocol, section 7): what is configured of one, the names
 * of events, an event as JSON, a request's body and its signature.  Pure; any
 * thread may call.
 */


#ifndef _NGX_CHAT_WEBHOOK_H_INCLUDED_
#define _NGX_CHAT_WEBHOOK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <pusher/ngx_chat_app.h>
#include <wire/ngx_chat_hook_record.h>


#define NGX_CHAT_WEBHOOK_SIGNATURE_LEN  64

/* What a webhook gets that names no events: all that Pusher knows, but client
   events. */
#define NGX_CHAT_WEBHOOK_DEFAULT                                              \
    (ngx_chat_hook_bit(NGX_CHAT_HOOK_OCCUPIED_e)                              \
     |ngx_chat_hook_bit(NGX_CHAT_HOOK_VACATED_e)                              \
     |ngx_chat_hook_bit(NGX_CHAT_HOOK_ADDED_e)                                \
     |ngx_chat_hook_bit(NGX_CHAT_HOOK_REMOVED_e)                              \
     |ngx_chat_hook_bit(NGX_CHAT_HOOK_CACHE_MISS_e)                           \
     |ngx_chat_hook_bit(NGX_CHAT_HOOK_COUNT_e))


typedef struct {
    ngx_str_t          url;            /* NUL-terminated */
    ngx_str_t          shown;          /* the same without a user and password;
                                          by this it is known */
    int64_t            key;            /* of the app and that URL, the same for
                                          ever, since rows bear it */
    ngx_uint_t         events;         /* bits of the kinds */
    ngx_array_t       *channels;       /* of ngx_str_t, patterns; NULL: all */
    ngx_msec_t         retry;          /* how long an event is tried */
    ngx_flag_t         batch;
    ngx_chat_app_t    *app;
    ngx_str_t          file;           /* where it is configured */
    ngx_uint_t         line;
} ngx_chat_webhook_t;


/* The events' names, in the order of ngx_chat_hook_kind_e; at the end NULL. */
extern const char *const  ngx_chat_webhook_names[];


/* The kind of a name; NGX_ERROR: there is no such event. */
ngx_int_t ngx_chat_webhook_kind(ngx_str_t *name);

/*
 * The kinds that must be looked at for those bits: of a state both its begin
 * and its end, since one without the other can't be told.
 */
ngx_uint_t ngx_chat_webhook_needs(ngx_uint_t events);

/*
 * Checks a URL, and takes it apart: where there are a user and a password, they
 * are *user, and end behind the "@".  NULL: it is good; else what is wrong.
 */
const char *ngx_chat_webhook_url(ngx_str_t *url, ngx_str_t *user);

/* The key of an app's id and a URL: 63 bits. */
int64_t ngx_chat_webhook_key(ngx_str_t *app, ngx_str_t *url);

/* 1 where a webhook of the record's app gets it. */
ngx_uint_t ngx_chat_webhook_wants(ngx_chat_webhook_t *hook, ngx_uint_t events,
    ngx_str_t *channel);

/* The JSON of one event; as the functions of ngx_chat_event.h. */
ssize_t ngx_chat_webhook_render(u_char *buf, size_t size,
    ngx_chat_hook_record_t *rec);

/*
 * A request's body: what stands before the events, which are put between with
 * commas, and what behind.  begin() writes at most NGX_CHAT_WEBHOOK_BEGIN
 * bytes; each returns the end.
 */
#define NGX_CHAT_WEBHOOK_BEGIN  64
#define NGX_CHAT_WEBHOOK_END    2

u_char *ngx_chat_webhook_begin(u_char *p, int64_t time);
u_char *ngx_chat_webhook_end(u_char *p);

/*
 * The signature of a body, NGX_CHAT_WEBHOOK_SIGNATURE_LEN bytes.  NGX_ERROR:
 * libcrypto has no memory.
 */
ngx_int_t ngx_chat_webhook_sign(u_char *out, ngx_str_t *secret, u_char *body,
    size_t len);

/* The app's oldest pair of credentials, which stands last. */
void ngx_chat_webhook_credentials(ngx_chat_app_t *app, ngx_str_t *key,
    ngx_str_t *secret);


#endif /* _NGX_CHAT_WEBHOOK_H_INCLUDED_ */
