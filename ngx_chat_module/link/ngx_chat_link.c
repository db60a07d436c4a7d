
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Commands that change what the engine has.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <link/ngx_chat_link.h>
#include <link/ngx_chat_link_script.h>
#include <wire/ngx_chat_clock.h>

#include <openssl/rand.h>

#define NGX_CHAT_LINK_KEYS_KEPT  "600000"  /* ms */

#define NGX_CHAT_LINK_NAME  (64 + 8 + 2 * NGX_CHAT_LINK_KEY_LEN)  /* of a key */

/* words of an append besides the items' own */
#define NGX_CHAT_LINK_APPEND_NAMES  10     /* those that are written for it */
#define NGX_CHAT_LINK_APPEND_WORDS  (NGX_CHAT_LINK_SCRIPT_WORDS + 5 + 9)


static ngx_uint_t ngx_chat_link_append_words(ngx_chat_link_t *l,
    ngx_chat_link_batch_t *b, ngx_str_t *words, u_char *names,
    ngx_uint_t *nkeys);
static ngx_int_t ngx_chat_link_appended(ngx_chat_link_batch_t *b,
    ngx_str_t *answer);
static ngx_int_t ngx_chat_link_appended_item(ngx_chat_link_item_t *item,
    u_char **p, int64_t time);
static ngx_int_t ngx_chat_link_key(ngx_str_t *key, ngx_chat_link_conf_t *conf,
    const char *name, ngx_pool_t *pool);
static void ngx_chat_link_flags(ngx_str_t *word, ngx_chat_link_item_t *item,
    ngx_uint_t more);


ngx_int_t
ngx_chat_link_conf(ngx_chat_link_conf_t *conf, ngx_pool_t *pool)
{
    if (ngx_chat_link_key(&conf->meta, conf, "meta", pool) != NGX_OK
        || ngx_chat_link_key(&conf->log, conf, "log", pool) != NGX_OK
        || ngx_chat_link_key(&conf->nodes, conf, "nodes", pool) != NGX_OK
        || ngx_chat_link_key(&conf->herald, conf, "herald", pool) != NGX_OK
        || ngx_chat_link_key(&conf->fills, conf, "fills", pool) != NGX_OK
        || ngx_chat_link_key(&conf->lacks, conf, "lacks", pool) != NGX_OK)
    {
        return NGX_ERROR;
    }

    conf->engine.key = conf->meta;

    return NGX_OK;
}


static ngx_int_t
ngx_chat_link_key(ngx_str_t *key, ngx_chat_link_conf_t *conf,
    const char *name, ngx_pool_t *pool)
{
    key->data = ngx_pnalloc(pool, conf->prefix.len + NGX_CHAT_LINK_NAME);
    if (key->data == NULL) {
        return NGX_ERROR;
    }

    key->len = ngx_sprintf(key->data, "{%V}:%s", &conf->prefix, name)
               - key->data;

    return NGX_OK;
}


ngx_uint_t
ngx_chat_link_is_isolated(ngx_chat_link_conf_t *conf)
{
    uint64_t  alive;

    alive = ngx_chat_link_get(&conf->sh->alive);

    return alive != 0 && ngx_chat_clock_msec() > alive + conf->isolate;
}


void
ngx_chat_link_init(ngx_chat_link_t *l, ngx_chat_link_conf_t *conf)
{
    l->conf = conf;

    ngx_chat_engine_init(&l->engine, &conf->engine);
}


void
ngx_chat_link_close(ngx_chat_link_t *l)
{
    ngx_chat_engine_close(&l->engine);
}


ngx_int_t
ngx_chat_link_append(ngx_chat_link_t *l, ngx_chat_link_batch_t *b,
    ngx_msec_t ms)
{
    u_char                   *names;
    ngx_int_t                 rc;
    ngx_str_t                *words, answer;
    ngx_uint_t                n, nkeys;
    ngx_chat_engine_reply_t  *reply;

    rc = ngx_chat_engine_connect(&l->engine, ms);
    if (rc != NGX_OK) {
        return NGX_AGAIN;
    }

    n = NGX_CHAT_LINK_APPEND_WORDS + 3 * b->n;

    words = malloc(n * sizeof(ngx_str_t)
                   + (b->n + NGX_CHAT_LINK_APPEND_NAMES)
                     * (l->conf->prefix.len + NGX_CHAT_LINK_NAME));
    if (words == NULL) {
        return NGX_AGAIN;
    }

    names = (u_char *) (words + n);
    n = ngx_chat_link_append_words(l, b, words, names, &nkeys);

    rc = ngx_chat_link_script_run(&l->engine, NGX_CHAT_LINK_APPEND_e, words,
                                  nkeys, n, ms, &reply);
    free(words);

    if (rc != NGX_OK) {
        return rc;
    }

    answer = ngx_chat_engine_text(ngx_chat_engine_item(reply, 1));
    rc = ngx_chat_link_appended(b, &answer);

    ngx_chat_engine_free(reply);

    if (rc != NGX_OK) {
        ngx_chat_link_script_failed(&l->engine);
    }

    return rc;
}


/* As scripts/append.lua has them. */

static ngx_uint_t
ngx_chat_link_append_words(ngx_chat_link_t *l, ngx_chat_link_batch_t *b,
    ngx_str_t *words, u_char *names, ngx_uint_t *nkeys)
{
    size_t                 size;
    ngx_str_t             *w;
    ngx_uint_t             i;
    ngx_chat_link_conf_t  *conf;

    conf = l->conf;
    size = conf->prefix.len + NGX_CHAT_LINK_NAME;
    w = words + NGX_CHAT_LINK_SCRIPT_WORDS;

    *w++ = conf->meta;
    *w++ = conf->log;
    *w++ = conf->nodes;

    ngx_chat_link_name(w++, names, conf, "w", b->incarnation);
    names += size;
    ngx_chat_link_name(w++, names, conf, "s", b->incarnation);
    names += size;

    for (i = 0; i < b->n; i++) {

        if (b->items[i].key) {
            w->data = names;
            w->len = ngx_sprintf(names, "{%V}:o:%*s", &conf->prefix,
                                 (size_t) NGX_CHAT_LINK_KEY_LEN,
                                 b->items[i].key) - names;
            w++;
            names += size;
        }
    }

    *nkeys = w - words - NGX_CHAT_LINK_SCRIPT_WORDS;

    ngx_chat_link_number(w++, names, "%uL", b->term);
    ngx_chat_link_number(w++, names + size, "%uL",
                         ngx_chat_link_get(&conf->sh->applied));
    ngx_chat_link_number(w++, names + 2 * size, "%016xL", b->incarnation);
    ngx_chat_link_number(w++, names + 3 * size, "%016xL", b->worker);
    ngx_chat_link_number(w++, names + 4 * size, "%016xL", b->nonce);
    ngx_chat_link_number(w++, names + 5 * size, "%uL", conf->keep);
    w->data = (u_char *) (b->kept ? b->kept : NGX_CHAT_LINK_KEYS_KEPT);
    w->len = ngx_strlen(w->data);
    w++;

    if (b->books) {
        ngx_chat_link_books(w++, names + 6 * size, b->books);

    } else {
        ngx_str_null(w);
        w++;
    }

    ngx_chat_link_number(w++, names + 7 * size, b->books ? "%uL" : "",
                         b->books ? b->books->row : 0);

    for (i = 0; i < b->n; i++) {
        ngx_chat_link_flags(w++, &b->items[i], i && b->items[i - 1].more);
        *w++ = b->items[i].bytes;
    }

    return w - words;
}


/* The byte before a field is room for its flag. */

static void
ngx_chat_link_flags(ngx_str_t *word, ngx_chat_link_item_t *item,
    ngx_uint_t more)
{
    if (item->field.len) {
        word->data = item->field.data - 1;
        word->len = item->field.len + 1;
        word->data[0] = item->drop ? 'd' : 's';

    } else if (more) {
        ngx_str_set(word, "m");

    } else if (item->key) {
        ngx_str_set(word, "k");

    } else {
        ngx_str_null(word);
    }
}


/* A key that belongs to a node. */

void
ngx_chat_link_name(ngx_str_t *key, u_char *buf, ngx_chat_link_conf_t *conf,
    const char *kind, uint64_t incarnation)
{
    key->data = buf;
    key->len = ngx_sprintf(buf, "{%V}:%s:%016xL", &conf->prefix, kind,
                           incarnation) - buf;
}


void
ngx_chat_link_books(ngx_str_t *word, u_char *buf, ngx_chat_link_books_t *books)
{
    word->data = buf;
    word->len = ngx_snprintf(buf, NGX_CHAT_LINK_BOOKS, "%uL:%uL", books->term,
                             books->seq) - buf;
}


void
ngx_chat_link_number(ngx_str_t *word, u_char *buf, const char *format,
    uint64_t n)
{
    word->data = buf;
    word->len = ngx_snprintf(buf, NGX_CHAT_LINK_NUMBER, format, n) - buf;
}


/* "NONCE TIME SEQ SEQ@TIME ...". */

static ngx_int_t
ngx_chat_link_appended(ngx_chat_link_batch_t *b, ngx_str_t *answer)
{
    u_char      *p, nonce[17];
    int64_t      time;
    ngx_uint_t   i;

    /* hiredis puts a zero behind each string */

    p = answer->data;
    b->last = 0;

    (void) ngx_sprintf(nonce, "%016xL ", b->nonce);

    if (p == NULL || answer->len < 17 || memcmp(p, nonce, 17) != 0) {
        return NGX_ERROR;
    }

    p += 16;
    time = (int64_t) strtoull((char *) p, (char **) &p, 10);

    for (i = 0; i < b->n; i++) {

        if (ngx_chat_link_appended_item(&b->items[i], &p, time) != NGX_OK) {
            return NGX_ERROR;
        }

        b->last = ngx_max(b->last, b->items[i].seq);
    }

    return (p == answer->data + answer->len) ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_chat_link_appended_item(ngx_chat_link_item_t *item, u_char **p,
    int64_t time)
{
    if (**p != ' ') {
        return NGX_ERROR;
    }

    item->seq = strtoull((char *) *p, (char **) p, 10);
    item->created = time;
    item->repeated = (**p == '@');

    if (item->repeated) {
        item->created = (int64_t) strtoull((char *) *p + 1, (char **) p, 10);
    }

    return (item->seq && item->seq <= (uint64_t) NGX_CHAT_LINK_MAX
            && item->created > 0 && item->created <= NGX_CHAT_LINK_MAX)
           ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_chat_link_replicated(ngx_chat_link_t *l, ngx_msec_t ms)
{
    u_char                    n[NGX_CHAT_LINK_NUMBER];
    u_char                    wait[NGX_CHAT_LINK_NUMBER];
    ngx_int_t                 rc;
    ngx_str_t                 words[3];
    ngx_chat_engine_reply_t  *reply;

    ngx_str_set(&words[0], "WAIT");
    ngx_chat_link_number(&words[1], n, "%uL", l->conf->replicas);
    ngx_chat_link_number(&words[2], wait, "%uL", ngx_max(ms, 1));

    rc = ngx_chat_engine_call(&l->engine, words, 3,
                              ms + NGX_CHAT_LINK_CALL, &reply);
    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    rc = (ngx_chat_engine_number(reply) >= (int64_t) l->conf->replicas)
         ? NGX_OK
         : ngx_chat_engine_failed(&l->engine,
                                  "fewer replicas than wanted have it");

    ngx_chat_engine_free(reply);

    return rc;
}


void
ngx_chat_link_token(u_char *token)
{
    u_char  buf[NGX_CHAT_LINK_EPOCH + 1];

    (void) ngx_sprintf(buf, "%016xL%016xL", ngx_chat_link_random(),
                       ngx_chat_link_random());

    ngx_memcpy(token, buf, NGX_CHAT_LINK_EPOCH);
}


uint64_t
ngx_chat_link_random(void)
{
    uint64_t  n;

    if (RAND_bytes((u_char *) &n, sizeof(uint64_t)) != 1) {
        n = ngx_random();
        n = n << 32 ^ ngx_random();
    }

    return n ? n : 1;
}
