
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Commands and replies.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <link/ngx_chat_engine.h>
#include <wire/ngx_chat_clock.h>

#include <stdio.h>

#if (NGX_CHAT_HIREDIS)
#include <hiredis/hiredis.h>
#endif


#define NGX_CHAT_ENGINE_WORDS   16384      /* of a command, at most */
#define NGX_CHAT_ENGINE_REPLY   (64 * 1024 * 1024)     /* bytes, at most */
#define NGX_CHAT_ENGINE_ITEMS   2097152    /* of all its lists, at most */
#define NGX_CHAT_ENGINE_READ    16384


#if (NGX_CHAT_HIREDIS)

#if (HIREDIS_MAJOR >= 1)
typedef size_t  ngx_chat_engine_len_t;
#else
typedef int  ngx_chat_engine_len_t;
#endif


static void *ngx_chat_engine_list(const redisReadTask *task,
    ngx_chat_engine_len_t n);
static ngx_int_t ngx_chat_engine_send(ngx_chat_engine_t *e, ngx_str_t *words,
    ngx_uint_t n);
static ngx_int_t ngx_chat_engine_receive(ngx_chat_engine_t *e,
    redisReply **reply);
static ngx_int_t ngx_chat_engine_refused(ngx_chat_engine_t *e,
    redisReply *reply);


/* hiredis' own, and those with ngx_chat_engine_list() among them. */

static redisReplyObjectFunctions  ngx_chat_engine_stock;
static redisReplyObjectFunctions  ngx_chat_engine_functions;


const char *
ngx_chat_engine_check(void)
{
    redisReader  *reader;

    reader = redisReaderCreate();
    if (reader == NULL) {
        return "is not available: out of memory";
    }

    ngx_chat_engine_stock = *reader->fn;
    ngx_chat_engine_functions = ngx_chat_engine_stock;
    ngx_chat_engine_functions.createArray = ngx_chat_engine_list;

    redisReaderFree(reader);

    return NULL;
}


/* A few bytes may tell of a list that takes all memory. */

static void *
ngx_chat_engine_list(const redisReadTask *task, ngx_chat_engine_len_t n)
{
    ngx_chat_engine_t  *e;

    e = task->privdata;

    if ((size_t) n > NGX_CHAT_ENGINE_ITEMS - e->items) {
        return NULL;
    }

    e->items += (ngx_uint_t) n;

    return ngx_chat_engine_stock.createArray(task, n);
}


ngx_int_t
ngx_chat_engine_call(ngx_chat_engine_t *e, ngx_str_t *words, ngx_uint_t n,
    ngx_msec_t ms, ngx_chat_engine_reply_t **reply)
{
    ngx_int_t    rc;
    redisReply  *r;

    if (e->fd == -1) {
        return NGX_ERROR;
    }

    if (n > NGX_CHAT_ENGINE_WORDS) {
        (void) ngx_chat_engine_failed(e, "a command has too many words");
        return NGX_DECLINED;
    }

    r = NULL;
    e->deadline = ngx_chat_clock_msec() + ms;

    e->items = 0;

    if (e->reader == NULL) {
        e->reader = redisReaderCreateWithFunctions(&ngx_chat_engine_functions);

        if (e->reader) {
            ((redisReader *) e->reader)->privdata = e;
        }
    }

    rc = e->reader ? ngx_chat_engine_send(e, words, n) : NGX_ERROR;

    if (rc == NGX_OK) {
        rc = ngx_chat_engine_receive(e, &r);
    }

    if (rc != NGX_OK) {
        ngx_chat_engine_close(e);
        return NGX_ERROR;
    }

    if (r->type == REDIS_REPLY_ERROR) {
        return ngx_chat_engine_refused(e, r);
    }

    *reply = r;

    return NGX_OK;
}


static ngx_int_t
ngx_chat_engine_send(ngx_chat_engine_t *e, ngx_str_t *words, ngx_uint_t n)
{
    int           len;
    char         *command;
    size_t       *lens;
    ngx_int_t     rc;
    ngx_uint_t    i;
    const char  **argv;

    argv = malloc(n * (sizeof(char *) + sizeof(size_t)));
    if (argv == NULL) {
        return NGX_ERROR;
    }

    lens = (size_t *) (argv + n);

    for (i = 0; i < n; i++) {
        argv[i] = (const char *) words[i].data;
        lens[i] = words[i].len;
    }

    len = redisFormatCommandArgv(&command, (int) n, argv, lens);

    free(argv);

    if (len < 0) {
        return NGX_ERROR;
    }

    rc = ngx_chat_engine_write(e, (u_char *) command, len);

    redisFreeCommand(command);

    return rc;
}


static ngx_int_t
ngx_chat_engine_receive(ngx_chat_engine_t *e, redisReply **reply)
{
    size_t        size;
    u_char        buf[NGX_CHAT_ENGINE_READ];
    ssize_t       n;
    redisReader  *reader;

    size = 0;
    reader = e->reader;

    for ( ;; ) {

        if (redisReaderGetReply(reader, (void **) reply) != REDIS_OK) {
            return ngx_chat_engine_failed(e, (reader->err == REDIS_ERR_OOM)
                                             ? "its answer is too large"
                                             : "what it answers is no RESP");
        }

        if (*reply) {

            if (reader->pos == reader->len) {
                return NGX_OK;
            }

            freeReplyObject(*reply);

            return ngx_chat_engine_failed(e, "it answers more than it was "
                                          "asked");
        }

        if (size > NGX_CHAT_ENGINE_REPLY) {
            return ngx_chat_engine_failed(e, "its answer is too large");
        }

        /* where there is always something to read, nothing waits */

        if (size && ngx_chat_clock_msec() >= e->deadline) {
            return ngx_chat_engine_failed(e, "no answer in time");
        }

        n = ngx_chat_engine_read(e, buf, sizeof(buf));

        if (n <= 0) {
            return NGX_ERROR;
        }

        size += n;

        if (redisReaderFeed(reader, (char *) buf, n) != REDIS_OK) {
            return ngx_chat_engine_failed(e, "what it answers is no RESP");
        }
    }
}


/*
 * The error's text, in e->error.  After some errors another connection has to
 * be made: the keys are elsewhere, or this is no primary (any more).
 */

static ngx_int_t
ngx_chat_engine_refused(ngx_chat_engine_t *e, redisReply *reply)
{
    char       *host, *port;
    size_t      i, len;
    ngx_uint_t  close;

    len = ngx_min((size_t) reply->len, sizeof(e->error) - 1);

    /* it goes into logs */

    for (i = 0; i < len; i++) {
        e->error[i] = (reply->str[i] >= ' ' && reply->str[i] <= '~')
                      ? reply->str[i] : '?';
    }

    e->error[len] = '\0';

    freeReplyObject(reply);

    /* Redis 6 has it within what it says of a script */

    close = (strncmp(e->error, "READONLY", 8) == 0
             || strstr(e->error, "-READONLY ") != NULL
             || strncmp(e->error, "LOADING", 7) == 0
             || strncmp(e->error, "MASTERDOWN", 10) == 0
             || strncmp(e->error, "CLUSTERDOWN", 11) == 0);

    if (strncmp(e->error, "MOVED ", 6) == 0) {
        host = strchr(e->error + 6, ' ');
        port = strrchr(e->error, ':');

        /* without a host it is the one that was asked */

        if (host && port && port > host) {
            len = port - host - 1;
            (void) snprintf(e->moved, sizeof(e->moved), "%.*s",
                            (int) (len ? len : sizeof(e->moved)),
                            len ? host + 1 : e->host);
            e->moved_port = strtoul(port + 1, NULL, 10) & 0xffff;
        }

        close = 1;
    }

    if (close) {
        ngx_chat_engine_close(e);
        return NGX_AGAIN;
    }

    /* keys that are moving can be asked for when all have arrived */

    return (strncmp(e->error, "ASK ", 4) == 0
            || strncmp(e->error, "TRYAGAIN", 8) == 0)
           ? NGX_AGAIN : NGX_DECLINED;
}


void
ngx_chat_engine_free(ngx_chat_engine_reply_t *reply)
{
    if (reply) {
        freeReplyObject(reply);
    }
}


ngx_uint_t
ngx_chat_engine_count(ngx_chat_engine_reply_t *reply)
{
    redisReply  *r = reply;

    return (r && r->type == REDIS_REPLY_ARRAY) ? r->elements : 0;
}


ngx_uint_t
ngx_chat_engine_is_nil(ngx_chat_engine_reply_t *reply)
{
    redisReply  *r = reply;

    return r == NULL || r->type == REDIS_REPLY_NIL;
}


ngx_chat_engine_reply_t *
ngx_chat_engine_item(ngx_chat_engine_reply_t *reply, ngx_uint_t n)
{
    redisReply  *r = reply;

    return (n < ngx_chat_engine_count(reply)) ? r->element[n] : NULL;
}


int64_t
ngx_chat_engine_number(ngx_chat_engine_reply_t *reply)
{
    redisReply  *r = reply;

    return (r && r->type == REDIS_REPLY_INTEGER) ? r->integer : 0;
}


ngx_str_t
ngx_chat_engine_text(ngx_chat_engine_reply_t *reply)
{
    ngx_str_t    s;
    redisReply  *r = reply;

    ngx_str_null(&s);

    if (r && (r->type == REDIS_REPLY_STRING || r->type == REDIS_REPLY_STATUS)) {
        s.data = (u_char *) r->str;
        s.len = r->len;
    }

    return s;
}


void
ngx_chat_engine_close(ngx_chat_engine_t *e)
{
    if (e->reader) {
        redisReaderFree(e->reader);
        e->reader = NULL;
    }

    ngx_chat_engine_hang_up(e);
}


#else


const char *
ngx_chat_engine_check(void)
{
    return "is not available: the module was built without hiredis";
}


ngx_int_t
ngx_chat_engine_call(ngx_chat_engine_t *e, ngx_str_t *words, ngx_uint_t n,
    ngx_msec_t ms, ngx_chat_engine_reply_t **reply)
{
    (void) words;
    (void) n;
    (void) ms;
    (void) reply;

    return ngx_chat_engine_failed(e, ngx_chat_engine_check());
}


void
ngx_chat_engine_free(ngx_chat_engine_reply_t *reply)
{
    (void) reply;
}


ngx_uint_t
ngx_chat_engine_count(ngx_chat_engine_reply_t *reply)
{
    (void) reply;

    return 0;
}


ngx_uint_t
ngx_chat_engine_is_nil(ngx_chat_engine_reply_t *reply)
{
    (void) reply;

    return 1;
}


ngx_chat_engine_reply_t *
ngx_chat_engine_item(ngx_chat_engine_reply_t *reply, ngx_uint_t n)
{
    (void) reply;
    (void) n;

    return NULL;
}


int64_t
ngx_chat_engine_number(ngx_chat_engine_reply_t *reply)
{
    (void) reply;

    return 0;
}


ngx_str_t
ngx_chat_engine_text(ngx_chat_engine_reply_t *reply)
{
    ngx_str_t  s;

    (void) reply;

    ngx_str_null(&s);

    return s;
}


void
ngx_chat_engine_close(ngx_chat_engine_t *e)
{
    ngx_chat_engine_hang_up(e);
}


#endif
