
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What the files of the back call of each other.  All runs on its thread.
 */


#ifndef _NGX_CHAT_BACK_WORK_H_INCLUDED_
#define _NGX_CHAT_BACK_WORK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <link/ngx_chat_link.h>
#include <link/ngx_chat_link_fill.h>
#include <link/ngx_chat_log_item.h>
#include <shared/ngx_chat_single.h>
#include <store/ngx_chat_books.h>
#include <store/ngx_chat_handle.h>


#define NGX_CHAT_BACK_OFFERED  1000    /* newest ids that offer() offers, and
                                          that a fill compares */


/* What another node is given. */

typedef struct {
    ngx_chat_link_fill_t    fill;      /* id 0: nothing; since goes on with what
                                          was given */
    ngx_uint_t              n;         /* chunks that were given */
    ngx_uint_t              messages;
    uint64_t                until;     /* ms: it waits for so long for room */
    ngx_str_t               items;     /* of the next chunk */
    size_t                  alloc;
    ngx_uint_t              whole;     /* nothing is behind them */
} ngx_chat_back_give_t;


/* What this node is given. */

typedef struct {
    ngx_uint_t              wanted;    /* the log does not reach back to it */
    uint64_t                term;      /* in which it has begun, */
    uint64_t                from;      /* and the node's place by then */
    uint64_t                last;      /* the last id that was given */
    ngx_uint_t              messages;  /* that the node lacked */
    uint64_t                told;      /* ms: when a line is due */
    ngx_uint_t              parted;    /* a node had something else */
    ngx_chat_link_fill_t    fill;
    ngx_uint_t              n;         /* chunks that came */
    ngx_chat_link_chunk_t   chunk;     /* the last one */
    ngx_uint_t              came;      /* just now */
    ngx_int_t               use;       /* NGX_OK; NGX_DECLINED: it is of none;
                                          NGX_ABORT: this node has something
                                          else in its place */
} ngx_chat_back_fill_t;


typedef struct ngx_chat_back_s {
    ngx_chat_store_conf_t  *conf;
    ngx_chat_link_conf_t   *link_conf;
    ngx_chat_link_sh_t     *sh;
    ngx_chat_single_t       single;
    uint64_t                worker;    /* its name for the engine, by chance */
    ngx_log_t              *log;

    /* the thread's */
    ngx_chat_link_t         link;
    ngx_chat_handle_t       handle;
    ngx_chat_link_meta_t    meta;      /* as the node has joined with it */
    ngx_chat_link_place_t   place;     /* behind what is stored and sent */
    char                    id[NGX_CHAT_LINK_EPOCH + 1];   /* of the database's
                                          cluster; empty: it is of none */
    uint64_t                file;      /* inode of the database that it has
                                          joined with; 0: not yet */
    ngx_chat_link_place_t   saved;     /* the place in the database */
    ngx_uint_t              began;     /* a transaction */
    ngx_uint_t              rouse;     /* the workers, when all is applied */
    uint64_t                highest;   /* id that was stored */
    ngx_uint_t              lacks;     /* the database lacks something of
                                          webhooks, which was said, */
    ngx_uint_t              lacking;   /* and the others are to be told */
    ngx_chat_link_books_t   books;     /* the last of the webhooks' items that
                                          the database has, at a new term */
    ngx_chat_back_give_t    give;
    ngx_chat_back_fill_t    fill;
    uint64_t                beat;      /* ms: when the lease is due */
    uint64_t                told;      /* ms: when a fault was logged last */
    ngx_msec_t              pause;     /* before the next attempt */
    ngx_uint_t              arriving;  /* it has not all yet that the log had
                                          when it joined */
    ngx_uint_t              warned;    /* of the engine's settings */
    ngx_uint_t              cut_off;   /* for so long that it was said */
    ngx_uint_t              again;     /* joins without a step behind them */
    ngx_uint_t              few;       /* entries still to be read one by one,
                                          as they were too large together */
} ngx_chat_back_t;


/*
 * Connects, and makes the node a part of the cluster: b->place is where it goes
 * on.  NGX_OK; NGX_AGAIN: join again; NGX_ERROR, with b->link.engine.error.
 */
ngx_int_t ngx_chat_back_join(ngx_chat_back_t *b);

/*
 * Behind a join and the reading of n entries: whether the node has all that the
 * log had when it joined; then it takes messages.  NGX_OK; NGX_AGAIN: join
 * again; NGX_ERROR: it can't get it.
 */
ngx_int_t ngx_chat_back_arrive(ngx_chat_back_t *b, ngx_uint_t n);

/* Whether the log has items behind this node's place. */
ngx_uint_t ngx_chat_back_is_behind(ngx_chat_back_t *b);

/* Whether an entry is the one behind a place.  NGX_OK; NGX_AGAIN: join again;
   NGX_ERROR: it can't be applied. */
ngx_int_t ngx_chat_back_follow(ngx_chat_back_t *b,
    ngx_chat_link_place_t *place, ngx_chat_link_entry_t *entry);

/* Whether a place may go on at the beginning of a term, behind a number. */
ngx_uint_t ngx_chat_back_may_jump(ngx_chat_back_t *b,
    ngx_chat_link_place_t *place, uint64_t term, uint64_t seq);

/* With the write lock: clients are told that ids behind a number may be other
   messages' now. */
void ngx_chat_back_begin_term(ngx_chat_back_t *b, uint64_t term, uint64_t seq);

/* The log goes back to a number only: says so.  NGX_AGAIN: join again, and ask
   other nodes; NGX_ERROR: they can't help. */
ngx_int_t ngx_chat_back_trimmed(ngx_chat_back_t *b, uint64_t seq,
    ngx_chat_link_place_t *place);

/* What this node has up to a place is not the cluster's: says so.
   NGX_ERROR. */
ngx_int_t ngx_chat_back_parted(ngx_chat_back_t *b,
    ngx_chat_link_place_t *place);

/* Whether what this node has up to a place may be the cluster's. */
ngx_uint_t ngx_chat_back_may_fill(ngx_chat_back_t *b,
    ngx_chat_link_place_t *place);

/*
 * In a join: gets what the log does not have from other nodes, where that is
 * wanted.  NGX_OK: it is not; NGX_AGAIN: join again; NGX_ERROR: nobody gives
 * it.
 */
ngx_int_t ngx_chat_back_fill(ngx_chat_back_t *b);

/*
 * ngx_chat_back_fill_store.c, with the write lock.  begin() begins a fill, or
 * goes on with one; where b->fill.wanted is not set behind it, none is wanted
 * any more.  store() keeps b->fill.chunk, and b->fill.use tells of what use
 * that was.  NGX_OK; NGX_AGAIN: join again; NGX_BUSY, NGX_ERROR.
 */
ngx_int_t ngx_chat_back_fill_begin(ngx_chat_back_t *b);
ngx_int_t ngx_chat_back_fill_store(ngx_chat_back_t *b);

/* With a beat: looks whether another node wants something.  NGX_OK,
   NGX_ERROR. */
ngx_int_t ngx_chat_back_asked(ngx_chat_back_t *b);

/* With a step: gives it.  NGX_OK; NGX_AGAIN: join again; NGX_ERROR. */
ngx_int_t ngx_chat_back_give(ngx_chat_back_t *b);

/*
 * A message as an item that is not sent again; its strings are the record's.
 * NGX_OK; NGX_DECLINED: it is too long for one, which is logged.  record() is
 * the way back, and of other items what they say at that place.
 */
ngx_int_t ngx_chat_back_old_item(ngx_chat_back_t *b, ngx_chat_record_t *rec,
    ngx_chat_log_item_t *item);
void ngx_chat_back_record(ngx_chat_log_item_t *item, uint64_t seq,
    int64_t time, ngx_chat_record_t *rec);

/*
 * ngx_chat_back_term.c, in a join.  NGX_OK; NGX_AGAIN: join again; NGX_ERROR.
 *
 * There is no cluster: makes one.
 */
ngx_int_t ngx_chat_back_found(ngx_chat_back_t *b);

/* Whether the database is one of this cluster's. */
ngx_int_t ngx_chat_back_belongs(ngx_chat_back_t *b);

/* Begins a term, where the engine has lost what this node has seen; that is
   NGX_AGAIN. */
ngx_int_t ngx_chat_back_lost(ngx_chat_back_t *b);

/* Whether what this node may lack of the term before is in the log. */
ngx_int_t ngx_chat_back_wait_offer(ngx_chat_back_t *b);

/* Whether this node has all that who began the term had. */
ngx_uint_t ngx_chat_back_is_complete(ngx_chat_back_t *b);

/*
 * ngx_chat_back_lease.c: the node's lease begins, or goes on, at a join.
 * NGX_OK, NGX_AGAIN, NGX_ERROR.
 */
ngx_int_t ngx_chat_back_enter(ngx_chat_back_t *b);

/* The node leaves the cluster, if it was in it.  NGX_OK, or as
   ngx_chat_link_gone(). */
ngx_int_t ngx_chat_back_withdraw(ngx_chat_back_t *b);

/* A join has failed, or a step: what follows where that is so for long. */
void ngx_chat_back_cut_off(ngx_chat_back_t *b);

/* Warns of settings of the engine.  NGX_OK, NGX_ERROR. */
ngx_int_t ngx_chat_back_warn(ngx_chat_back_t *b);

/* With the write lock: keeps the place.  NGX_OK, NGX_BUSY, NGX_ERROR. */
ngx_int_t ngx_chat_back_save(ngx_chat_back_t *b);

/* Whether the database has messages under numbers that are others' in this
   term. */
ngx_uint_t ngx_chat_back_has_orphans(ngx_chat_back_t *b);

/*
 * Behind a join: gives the others what the engine has lost, out of the
 * database.  NGX_OK; NGX_AGAIN: join again; NGX_ERROR.
 */
ngx_int_t ngx_chat_back_offer(ngx_chat_back_t *b);

/*
 * With the write lock: makes the handle ready.  NGX_OK; NGX_AGAIN: the path
 * leads to another file than the node has joined with, join again; NGX_BUSY,
 * NGX_ERROR.
 */
ngx_int_t ngx_chat_back_ready(ngx_chat_back_t *b);

/* Calls a handler with the write lock and the handle ready.  NGX_OK; NGX_AGAIN:
   as above; NGX_ERROR. */
ngx_int_t ngx_chat_back_locked(ngx_chat_back_t *b,
    ngx_int_t (*handler)(ngx_chat_back_t *b));

/* Behind a join: takes the census, where this node does not have it.  NGX_OK,
   NGX_ERROR. */
ngx_int_t ngx_chat_back_census(ngx_chat_back_t *b);

/* An item that a node has announced. */
void ngx_chat_back_announced(ngx_chat_back_t *b,
    ngx_chat_link_entry_t *entry, ngx_chat_log_item_t *item, uint64_t seq);

/* The node's lease goes on.  NGX_OK; NGX_AGAIN: the node has to join again;
   NGX_ERROR. */
ngx_int_t ngx_chat_back_beat(ngx_chat_back_t *b);

/* Stores and sends the entries of a reply.  NGX_OK; NGX_AGAIN: join again;
   NGX_ERROR: it failed, and is to be done again. */
ngx_int_t ngx_chat_back_apply(ngx_chat_back_t *b,
    ngx_chat_engine_reply_t *reply);

/*
 * With the write lock: what the database knows of the cluster.  *id is empty
 * where it knows none.  NGX_OK, NGX_BUSY, NGX_ERROR.
 */
ngx_int_t ngx_chat_back_load(ngx_chat_back_t *b, ngx_chat_link_place_t *place,
    char *id);

/* In a transaction: keeps a place. */
ngx_int_t ngx_chat_back_keep(ngx_chat_back_t *b,
    ngx_chat_link_place_t *place);

/* Sets the text of the fault that is logged.  NGX_ERROR. */
ngx_int_t ngx_chat_back_failed(ngx_chat_back_t *b, const char *text);


#endif /* _NGX_CHAT_BACK_WORK_H_INCLUDED_ */
