
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Requests, by libcurl's multi interface: each webhook has one under way at
 * most, and none waits for another.
 *
 * An answer counts as a whole: a status of 2xx, and all of the body that it
 * promised, within four seconds.  No redirect is followed, since the receiver
 * is who is configured.  What the body says is of no interest.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <hook/ngx_chat_herald_work.h>
#include <wire/ngx_chat_clock.h>
#include <wire/ngx_chat_failpoint.h>

#include <stdio.h>


#define NGX_CHAT_HERALD_TIMEOUT  4000L     /* ms of a request */
#define NGX_CHAT_HERALD_LOAD     10000     /* ms between attempts to load the
                                              library */


#if (NGX_CHAT_CURL)

static ngx_int_t ngx_chat_herald_load(ngx_chat_herald_t *h);
static ngx_int_t ngx_chat_herald_request(ngx_chat_herald_t *h,
    ngx_chat_herald_hook_t *hook);
static ngx_int_t ngx_chat_herald_headers(ngx_chat_herald_t *h,
    ngx_chat_herald_hook_t *hook);
static ngx_int_t ngx_chat_herald_header(ngx_chat_herald_t *h,
    ngx_chat_herald_hook_t *hook, const char *name, ngx_str_t *value);
static ngx_int_t ngx_chat_herald_options(ngx_chat_herald_t *h,
    ngx_chat_herald_hook_t *hook);
static size_t ngx_chat_herald_head(char *data, size_t size, size_t n,
    void *ctx);
static size_t ngx_chat_herald_discard(char *data, size_t size, size_t n,
    void *ctx);
static void ngx_chat_herald_answers(ngx_chat_herald_t *h);
static void ngx_chat_herald_answer(ngx_chat_herald_t *h,
    ngx_chat_herald_hook_t *hook, CURLcode code);
static void ngx_chat_herald_release_request(ngx_chat_herald_t *h,
    ngx_chat_herald_hook_t *hook);

#endif


#if (NGX_CHAT_CURL)


void
ngx_chat_herald_wake(void *data)
{
    ngx_chat_herald_t *h = data;

    if (h->multi) {
        (void) h->curl->multi_wakeup(h->multi);
    }
}


void
ngx_chat_herald_send(ngx_chat_herald_t *h)
{
    ngx_uint_t               i;
    ngx_chat_herald_hook_t  *hook;

    for (i = 0; i < h->conf->n; i++) {
        hook = &h->hooks[i];

        if (hook->state != NGX_CHAT_HERALD_READY_e
            || ngx_chat_herald_load(h) != NGX_OK)
        {
            continue;
        }

        ngx_chat_failpoint("hook send");

        if (ngx_chat_herald_request(h, hook) == NGX_OK) {
            hook->state = NGX_CHAT_HERALD_SENDING_e;
            continue;
        }

        ngx_log_error(NGX_LOG_ALERT, h->log, 0,
                      "chat could not make the request of webhook \"%V\"",
                      &hook->conf->shown);

        ngx_chat_herald_release_request(h, hook);

        /* its batch is chosen again */
        hook->state = NGX_CHAT_HERALD_IDLE_e;
        hook->due = (int64_t) ngx_chat_clock_msec() + 1000;
    }
}


void
ngx_chat_herald_wait(ngx_chat_herald_t *h, ngx_uint_t ms)
{
    int  running;

    if (h->multi == NULL) {
        ngx_chat_single_sleep(&h->single, ms);
        return;
    }

    (void) h->curl->multi_perform(h->multi, &running);
    (void) h->curl->multi_poll(h->multi, NULL, 0, (int) ms, NULL);
    (void) h->curl->multi_perform(h->multi, &running);

    ngx_chat_herald_answers(h);
}


/* Transfers end without an answer; their rows are still in the database. */

void
ngx_chat_herald_send_exit(ngx_chat_herald_t *h)
{
    void                    *multi;
    ngx_uint_t               i;
    ngx_chat_herald_hook_t  *hook;

    for (i = 0; i < h->conf->n; i++) {
        hook = &h->hooks[i];

        if (h->multi) {
            ngx_chat_herald_release_request(h, hook);
        }

        free(hook->body.data);
        hook->body.data = NULL;
        hook->size = 0;
        hook->state = NGX_CHAT_HERALD_IDLE_e;
    }

    (void) pthread_mutex_lock(&h->single.mutex);

    multi = h->multi;
    h->multi = NULL;

    (void) pthread_mutex_unlock(&h->single.mutex);

    if (multi) {
        (void) h->curl->multi_cleanup(multi);
    }
}


static ngx_int_t
ngx_chat_herald_load(ngx_chat_herald_t *h)
{
    void        *multi;
    const char  *error;

    if (h->multi) {
        return NGX_OK;
    }

    if (ngx_chat_clock_msec() < h->curl_due) {
        return NGX_DECLINED;
    }

    h->curl_due = ngx_chat_clock_msec() + NGX_CHAT_HERALD_LOAD;

    error = "out of memory";

    h->curl = ngx_chat_hook_curl_load(&error);
    multi = h->curl ? h->curl->multi_init() : NULL;

    if (multi == NULL) {
        ngx_log_error(NGX_LOG_ALERT, h->log, 0,
                      "chat webhooks can't be sent, "
                      NGX_CHAT_HOOK_CURL_LIBRARY ": %s", error);
        return NGX_ERROR;
    }

    h->curl_due = 0;

    (void) pthread_mutex_lock(&h->single.mutex);

    h->multi = multi;

    (void) pthread_mutex_unlock(&h->single.mutex);

    return NGX_OK;
}


static ngx_int_t
ngx_chat_herald_request(ngx_chat_herald_t *h, ngx_chat_herald_hook_t *hook)
{
    hook->delivered = 0;
    hook->whole = 0;
    hook->status = 0;
    hook->error[0] = '\0';
    hook->text[0] = '\0';

    hook->easy = h->curl->easy_init();

    if (hook->easy == NULL
        || ngx_chat_herald_headers(h, hook) != NGX_OK
        || ngx_chat_herald_options(h, hook) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return (h->curl->multi_add_handle(h->multi, hook->easy) == CURLM_OK)
           ? NGX_OK : NGX_ERROR;
}


/* Names are written as PHP's helper looks them up. */

static ngx_int_t
ngx_chat_herald_headers(ngx_chat_herald_t *h, ngx_chat_herald_hook_t *hook)
{
    char        id[NGX_CHAT_DB_EPOCH_LEN + 24];
    u_char      hex[NGX_CHAT_WEBHOOK_SIGNATURE_LEN];
    ngx_str_t   key, secret, value;

    ngx_chat_webhook_credentials(hook->conf->app, &key, &secret);

    if (ngx_chat_webhook_sign(hex, &secret, hook->body.data, hook->body.len)
        != NGX_OK
        || ngx_chat_herald_header(h, hook, "X-Pusher-Key", &key) != NGX_OK)
    {
        return NGX_ERROR;
    }

    value.data = hex;
    value.len = NGX_CHAT_WEBHOOK_SIGNATURE_LEN;

    if (ngx_chat_herald_header(h, hook, "X-Pusher-Signature", &value)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    value.data = (u_char *) id;
    value.len = snprintf(id, sizeof(id), "%.*s-%llu", NGX_CHAT_DB_EPOCH_LEN,
                         (char *) h->epoch, (unsigned long long) hook->batch);

    if (ngx_chat_herald_header(h, hook, "X-Chat-Webhook-Id", &value)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_str_set(&value, "application/json");

    if (ngx_chat_herald_header(h, hook, "Content-Type", &value) != NGX_OK) {
        return NGX_ERROR;
    }

    /* without a value libcurl leaves its own out: nobody waits for a 100 */

    ngx_str_null(&value);

    return ngx_chat_herald_header(h, hook, "Expect", &value);
}


static ngx_int_t
ngx_chat_herald_header(ngx_chat_herald_t *h, ngx_chat_herald_hook_t *hook,
    const char *name, ngx_str_t *value)
{
    char                line[512];
    struct curl_slist  *list;

    (void) snprintf(line, sizeof(line), value->len ? "%s: %.*s" : "%s:", name,
                    (int) value->len, (char *) value->data);

    list = h->curl->slist_append(hook->headers, line);

    if (list == NULL) {
        return NGX_ERROR;
    }

    hook->headers = list;

    return NGX_OK;
}


static ngx_int_t
ngx_chat_herald_options(ngx_chat_herald_t *h, ngx_chat_herald_hook_t *hook)
{
    CURL                     *easy;
    CURLcode                  rc;
    struct curl_blob          blob;
    ngx_chat_hook_curl_t     *c;

    c = h->curl;
    easy = hook->easy;

#define ngx_chat_herald_option(option, value)                                 \
    rc |= c->easy_setopt(easy, option, value)

    rc = CURLE_OK;

    ngx_chat_herald_option(CURLOPT_URL, (char *) hook->conf->url.data);
    ngx_chat_herald_option(CURLOPT_POST, 1L);
    ngx_chat_herald_option(CURLOPT_POSTFIELDSIZE_LARGE,
                           (curl_off_t) hook->body.len);
    ngx_chat_herald_option(CURLOPT_POSTFIELDS, (char *) hook->body.data);
    ngx_chat_herald_option(CURLOPT_HTTPHEADER, hook->headers);
    ngx_chat_herald_option(CURLOPT_HTTP_VERSION,
                           (long) CURL_HTTP_VERSION_1_1);
    ngx_chat_herald_option(CURLOPT_USERAGENT, "ngx_chat_module");
    ngx_chat_herald_option(CURLOPT_TIMEOUT_MS, NGX_CHAT_HERALD_TIMEOUT);
    ngx_chat_herald_option(CURLOPT_NOSIGNAL, 1L);
    ngx_chat_herald_option(CURLOPT_FOLLOWLOCATION, 0L);
    ngx_chat_herald_option(CURLOPT_WRITEFUNCTION, ngx_chat_herald_discard);
    ngx_chat_herald_option(CURLOPT_HEADERFUNCTION, ngx_chat_herald_head);
    ngx_chat_herald_option(CURLOPT_HEADERDATA, hook);
    ngx_chat_herald_option(CURLOPT_PRIVATE, hook);
    ngx_chat_herald_option(CURLOPT_ERRORBUFFER, hook->text);

    /* a resolver that hangs keeps nobody: its thread ends by itself */

#if (LIBCURL_VERSION_NUM >= 0x075700)
    (void) c->easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif

    if (h->conf->certificate.len) {
        blob.data = h->conf->certificate.data;
        blob.len = h->conf->certificate.len;
        blob.flags = CURL_BLOB_NOCOPY;

        ngx_chat_herald_option(CURLOPT_CAINFO_BLOB, &blob);
    }

#undef ngx_chat_herald_option

    return (rc == CURLE_OK) ? NGX_OK : NGX_ERROR;
}


/*
 * A line of an answer's head.  To libcurl a head that breaks off is a good one:
 * its last line must have come, which is empty.  Lines behind that one are of
 * another head, or trailers, whose end libcurl does not show.
 */

static size_t
ngx_chat_herald_head(char *data, size_t size, size_t n, void *ctx)
{
    ngx_chat_herald_hook_t *hook = ctx;

    size *= n;

    if (size >= 5 && ngx_strncmp(data, "HTTP/", 5) == 0) {
        hook->whole = 0;
    }

    if (size > 0 && (data[0] == CR || data[0] == LF)) {
        hook->whole = 1;
    }

    return size;
}


static size_t
ngx_chat_herald_discard(char *data, size_t size, size_t n, void *ctx)
{
    (void) data;
    (void) ctx;

    return size * n;
}


static void
ngx_chat_herald_answers(ngx_chat_herald_t *h)
{
    int                      left;
    char                    *private;
    CURLMsg                 *msg;
    CURLcode                 code;
    ngx_chat_herald_hook_t  *hook;

    while ((msg = h->curl->multi_info_read(h->multi, &left)) != NULL) {

        if (msg->msg != CURLMSG_DONE) {
            continue;
        }

        code = msg->data.result;

        (void) h->curl->easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE,
                                     &private);

        hook = (ngx_chat_herald_hook_t *) private;

        ngx_chat_failpoint("hook answered");

        ngx_chat_herald_answer(h, hook, code);
        ngx_chat_herald_release_request(h, hook);

        hook->state = NGX_CHAT_HERALD_ANSWERED_e;
    }
}


static void
ngx_chat_herald_answer(ngx_chat_herald_t *h, ngx_chat_herald_hook_t *hook,
    CURLcode code)
{
    size_t               i, len;
    const char          *text;
    ngx_chat_hook_sh_t  *sh;

    (void) h->curl->easy_getinfo(hook->easy, CURLINFO_RESPONSE_CODE,
                                 &hook->status);

    if (code == CURLE_OK && !hook->whole) {
        code = CURLE_PARTIAL_FILE;
    }

    if (code == CURLE_OK && hook->status >= 200 && hook->status < 300) {
        hook->delivered = 1;
        hook->result = NGX_CHAT_WEBHOOK_OK_e;

    } else if (code == CURLE_OK) {
        hook->result = NGX_CHAT_WEBHOOK_STATUS_e;

        (void) snprintf((char *) hook->error, NGX_CHAT_HOOK_ERROR,
                        "status %ld", hook->status);

    } else {
        hook->result = (code == CURLE_OPERATION_TIMEDOUT)
                       ? NGX_CHAT_WEBHOOK_TIMEOUT_e
                       : NGX_CHAT_WEBHOOK_BROKEN_e;

        text = hook->text[0] ? hook->text : h->curl->easy_strerror(code);

        (void) ngx_cpystrn(hook->error, (u_char *) text, NGX_CHAT_HOOK_ERROR);
    }

    sh = hook->sh;

    if (sh == NULL) {
        return;
    }

    len = ngx_strlen(hook->error);

    /* only ASCII is shown */

    for (i = 0; i < len; i++) {
        if (hook->error[i] < 0x20 || hook->error[i] > 0x7e) {
            hook->error[i] = '?';
        }
    }

    sh->status = hook->status;
    sh->len = 0;
    ngx_memcpy(sh->error, hook->error, len);
    sh->len = len;

    if (hook->delivered) {
        sh->success = ngx_chat_clock_wall();
        sh->tries = 0;

    } else {
        sh->tries = hook->tries + 1;
    }
}


static void
ngx_chat_herald_release_request(ngx_chat_herald_t *h,
    ngx_chat_herald_hook_t *hook)
{
    if (hook->easy) {
        (void) h->curl->multi_remove_handle(h->multi, hook->easy);
        h->curl->easy_cleanup(hook->easy);
        hook->easy = NULL;
    }

    if (hook->headers) {
        h->curl->slist_free_all(hook->headers);
        hook->headers = NULL;
    }
}


#else


/* The directive is refused without libcurl. */

void
ngx_chat_herald_wake(void *data)
{
    (void) data;
}


void
ngx_chat_herald_send(ngx_chat_herald_t *h)
{
    (void) h;
}


void
ngx_chat_herald_wait(ngx_chat_herald_t *h, ngx_uint_t ms)
{
    ngx_chat_single_sleep(&h->single, ms);
}


void
ngx_chat_herald_send_exit(ngx_chat_herald_t *h)
{
    (void) h;
}


#endif
