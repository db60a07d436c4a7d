
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The cluster's log and what is about it in the engine: the commands of a node.
 *
 * All keys begin with "{PREFIX}:", so that they are in one slot of a Redis
 * Cluster.  The log is a stream.  An entry is a batch of one worker; its id is
 * TERM-SEQ, where SEQ is the number of its last item; all items are numbered
 * without a gap.  An entry names itself and the one before by nonces.
 *
 * What changes more than one key is a script, in scripts/.
 *
 * One thread uses a link at a time, and may wait.
 */


#ifndef _NGX_CHAT_LINK_H_INCLUDED_
#define _NGX_CHAT_LINK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <link/ngx_chat_engine.h>
#include <link/ngx_chat_link_sh.h>


#define NGX_CHAT_LINK_KEY_LEN  32      /* of an idempotency key, hexadecimal */
#define NGX_CHAT_LINK_CALL     3000    /* ms that a command may take */
#define NGX_CHAT_LINK_MAX      (1LL << 53)     /* that a script can count to */


typedef struct {
    ngx_chat_engine_conf_t  engine;
    ngx_str_t               prefix;
    ngx_str_t               name;      /* of this node */
    ngx_uint_t              replicas;
    ngx_uint_t              keep;      /* events that the log keeps */
    ngx_msec_t              lease;
    ngx_msec_t              timeout;
    ngx_msec_t              isolate;
    ngx_chat_link_sh_t     *sh;

    /* keys, made by ngx_chat_link_conf() */
    ngx_str_t               meta;
    ngx_str_t               log;
    ngx_str_t               nodes;
    ngx_str_t               herald;
    ngx_str_t               fills;
    ngx_str_t               lacks;
} ngx_chat_link_conf_t;


typedef struct {
    ngx_chat_link_conf_t   *conf;
    ngx_chat_engine_t       engine;
} ngx_chat_link_t;


/* What the engine knows of the cluster. */

typedef struct {
    uint64_t                term;      /* 0: there is no cluster yet */
    uint64_t                seq;       /* of the last item */
    uint64_t                nonce;     /* of the last entry */
    uint64_t                first;     /* the seq before the term's first
                                          item */
    uint64_t                start;     /* the nonce before its first entry */
    ngx_chat_link_place_t   from;      /* the place of who began the term: what
                                          is behind it was lost */
    uint64_t                offered;   /* not 0: a node that was there has given
                                          the others what they may lack */
    u_char                  id[NGX_CHAT_LINK_EPOCH];
    u_char                  epoch[NGX_CHAT_LINK_EPOCH];
} ngx_chat_link_meta_t;


typedef struct {
    uint64_t                term;
    uint64_t                node;      /* the incarnation that has written it */
    uint64_t                seq;       /* of its last item */
    uint64_t                n;         /* its items */
    uint64_t                nonce;
    uint64_t                previous;  /* nonce of the entry before */
    int64_t                 time;      /* the engine's, ms since 1970 */
    ngx_str_t               items;     /* as ngx_chat_log_item.h has them */
} ngx_chat_link_entry_t;


/* An item to be appended. */

typedef struct {
    ngx_str_t               bytes;
    u_char                 *key;       /* NULL: it has no idempotency key */
    ngx_str_t               field;     /* of the node's census; len 0: none */
    unsigned                drop:1;    /* that field */
    unsigned                more:1;    /* of the same request as the one
                                          before */
    unsigned                repeated:1;    /* set: it was there already */
    uint64_t                seq;       /* set */
    int64_t                 created;   /* set: the engine's, ms since 1970 */
} ngx_chat_link_item_t;


/* What the engine knows of the webhooks' tables. */

typedef struct {
    uint64_t                term;      /* of the item that has changed them */
    uint64_t                seq;       /* last, and its number; 0: there is
                                          none */
    uint64_t                row;       /* the highest id of an event in them */
    ngx_uint_t              lacks;     /* a node lacks some of them */
} ngx_chat_link_books_t;


typedef struct {
    ngx_chat_link_item_t   *items;
    ngx_uint_t              n;
    uint64_t                worker;    /* by chance, with its process */
    uint64_t                term;      /* in which it is sent */
    uint64_t                incarnation;   /* of the node, as this was first
                                          sent */
    uint64_t                nonce;     /* by chance; the same when it is sent
                                          again */
    const char             *kept;      /* ms that idempotency keys are kept;
                                          NULL: as those of clients */
    ngx_chat_link_books_t  *books;     /* not NULL: its one item follows these,
                                          or is not taken */
    uint64_t                last;      /* set: the highest seq */
} ngx_chat_link_batch_t;


/* Which node sends webhooks. */

typedef enum {
    NGX_CHAT_LINK_HERALD_NOBODY_e = 0,
    NGX_CHAT_LINK_HERALD_SELF_e,
    NGX_CHAT_LINK_HERALD_TAKEN_e,      /* this one, from now on */
    NGX_CHAT_LINK_HERALD_OTHER_e
} ngx_chat_link_herald_e;


/* Whether this node was not in the cluster for so long that its clients are
   better off with another one.  For any thread. */
ngx_uint_t ngx_chat_link_is_isolated(ngx_chat_link_conf_t *conf);

/* Makes the keys.  NGX_OK, NGX_ERROR. */
ngx_int_t ngx_chat_link_conf(ngx_chat_link_conf_t *conf, ngx_pool_t *pool);

void ngx_chat_link_init(ngx_chat_link_t *l, ngx_chat_link_conf_t *conf);
void ngx_chat_link_close(ngx_chat_link_t *l);

/*
 * The functions below return NGX_OK; NGX_AGAIN: the node has to join (again)
 * first, nothing was done; NGX_DECLINED: the engine has refused it, nothing was
 * done, and l->engine.error tells why; NGX_ERROR: the connection is closed, and
 * nobody knows what came of it.
 */

ngx_int_t ngx_chat_link_append(ngx_chat_link_t *l, ngx_chat_link_batch_t *b,
    ngx_msec_t ms);

/*
 * Waits until as many replicas as are wanted have what this connection has
 * written.  NGX_OK; NGX_ERROR: they have not, or it can't be told.
 */
ngx_int_t ngx_chat_link_replicated(ngx_chat_link_t *l, ngx_msec_t ms);

ngx_int_t ngx_chat_link_meta(ngx_chat_link_t *l, ngx_chat_link_meta_t *meta);

/* Begins a term, unless somebody else has.  meta is what the engine had, but
   for the epoch and, where it had none, the id; place is what this node has
   seen, and books the last of the webhooks' items in its database. */
ngx_int_t ngx_chat_link_term(ngx_chat_link_t *l, ngx_chat_link_meta_t *meta,
    ngx_chat_link_place_t *place, ngx_chat_link_books_t *books);

/* Notes that a node which had all has given the others what they may lack of
   what was before the term. */
ngx_int_t ngx_chat_link_offered(ngx_chat_link_t *l, uint64_t term);

/*
 * Begins the node's lease with fresh set, or goes on with it.  *expired becomes
 * a node whose lease is over, or 0.  Shared memory gets all nodes, and the
 * log's last item.
 */
ngx_int_t ngx_chat_link_hello(ngx_chat_link_t *l, uint64_t term,
    uint64_t incarnation, ngx_uint_t fresh, uint64_t *expired);

/*
 * Wants to be the node that sends webhooks, or to stay it, for the time of a
 * lease.  *herald tells who it is now.  *books is what this node's database
 * has, and becomes what the engine knows.  Where these differ this node can't
 * be it, unless adopt is set: then the engine takes over what the node has.
 * That a node lacks something is told once, to the one that is it.
 */
ngx_int_t ngx_chat_link_herald(ngx_chat_link_t *l, uint64_t term,
    uint64_t incarnation, ngx_uint_t adopt, ngx_chat_link_books_t *books,
    ngx_chat_link_herald_e *herald);

/* Tells the node that sends webhooks that this one lacks some of the tables.
   NGX_OK, or as ngx_chat_engine_call(). */
ngx_int_t ngx_chat_link_lacks(ngx_chat_link_t *l);

/* Takes a node out of the cluster: where its lease is over, or with force set
   in any case. */
ngx_int_t ngx_chat_link_gone(ngx_chat_link_t *l, uint64_t term,
    uint64_t incarnation, ngx_uint_t force);

/*
 * In the master, when all workers have ended: takes the node out of the
 * cluster, so that its members go at once.  Waits a few seconds at most; where
 * it fails, the others notice it by the lease.
 */
void ngx_chat_link_bye(ngx_chat_link_conf_t *conf);

/* The incarnations of all nodes: strings in a list, each with a string behind
   it that is not one. */
ngx_int_t ngx_chat_link_nodes(ngx_chat_link_t *l,
    ngx_chat_engine_reply_t **reply);

/* What a node has announced: items in a list, each behind its field. */
ngx_int_t ngx_chat_link_census(ngx_chat_link_t *l, uint64_t incarnation,
    ngx_chat_engine_reply_t **reply);

/* Whether the engine may evict keys when its memory is full.  NGX_OK: it may;
   NGX_DECLINED: not, or it does not tell; NGX_ERROR. */
ngx_int_t ngx_chat_link_evicts(ngx_chat_link_t *l);

/* Reads an incarnation.  NGX_OK, NGX_ERROR. */
ngx_int_t ngx_chat_link_incarnation(ngx_str_t *text, uint64_t *n);

/*
 * Waits up to ms for entries behind a place, and returns at most n of them in
 * *reply, or NULL.
 */
ngx_int_t ngx_chat_link_read(ngx_chat_link_t *l, ngx_chat_link_place_t *place,
    ngx_uint_t n, ngx_msec_t ms, ngx_chat_engine_reply_t **reply);

/* Entry n of the reply.  NGX_OK; NGX_DONE: there is none; NGX_ERROR: it is
   none that a node has made. */
ngx_int_t ngx_chat_link_entry(ngx_chat_engine_reply_t *reply, ngx_uint_t n,
    ngx_chat_link_entry_t *entry);

/*
 * Waits until this node's database has all that the log has now, up to a time
 * of the monotonic clock.  NGX_OK, and *seq becomes the log's last number, and
 * epoch the cluster's, of NGX_CHAT_LINK_EPOCH bytes; NGX_ERROR: it has not, or
 * can't know.
 */
ngx_int_t ngx_chat_link_catch_up(ngx_chat_link_t *l, uint64_t end,
    uint64_t *seq, u_char *epoch);

/* Reads a stream behind a place, as ngx_chat_link_read() does with the log. */
ngx_int_t ngx_chat_link_stream(ngx_chat_link_t *l, ngx_str_t *key,
    ngx_chat_link_place_t *place, ngx_uint_t n, ngx_msec_t ms,
    ngx_chat_engine_reply_t **reply);

/* The entries of such a reply, a list; NULL: it has none. */
ngx_chat_engine_reply_t *ngx_chat_link_entries(ngx_chat_engine_reply_t *reply);

/*
 * For the functions of this file: a number as a word of a command, in buf of
 * NGX_CHAT_LINK_NUMBER bytes; a place of the books, "TERM:SEQ", in one of
 * NGX_CHAT_LINK_BOOKS bytes; and a node's key.
 */
#define NGX_CHAT_LINK_NODE_KEY  (64 + 32)  /* bytes of a key with a number */
#define NGX_CHAT_LINK_NUMBER  24
#define NGX_CHAT_LINK_BOOKS   48

void ngx_chat_link_books(ngx_str_t *word, u_char *buf,
    ngx_chat_link_books_t *books);

void ngx_chat_link_number(ngx_str_t *word, u_char *buf, const char *format,
    uint64_t n);
void ngx_chat_link_name(ngx_str_t *key, u_char *buf,
    ngx_chat_link_conf_t *conf, const char *kind, uint64_t incarnation);

/* NGX_CHAT_LINK_EPOCH hexadecimal digits by chance.  For any thread. */
void ngx_chat_link_token(u_char *token);

/* A number by chance, never 0.  For any thread. */
uint64_t ngx_chat_link_random(void);


#endif /* _NGX_CHAT_LINK_H_INCLUDED_ */
