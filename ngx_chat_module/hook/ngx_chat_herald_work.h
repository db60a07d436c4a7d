
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The herald's own state, and the parts of its work.  All of this is the
 * thread's, but for enroll() and wake().
 */


#ifndef _NGX_CHAT_HERALD_WORK_H_INCLUDED_
#define _NGX_CHAT_HERALD_WORK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <hook/ngx_chat_herald_conf.h>
#include <hook/ngx_chat_hook_curl.h>
#include <hook/ngx_chat_hook_db.h>
#include <hook/ngx_chat_hook_held.h>
#include <link/ngx_chat_link.h>
#include <link/ngx_chat_log_item.h>
#include <pusher/ngx_chat_webhook.h>
#include <shared/ngx_chat_single.h>
#include <wire/ngx_chat_hook_record.h>


#define NGX_CHAT_HERALD_GRACE   3000       /* ms that ends are held back */
#define NGX_CHAT_HERALD_RECORDS  1000      /* most of them in a transaction */
#define NGX_CHAT_HERALD_ITEMS   200        /* the same in a cluster, where a
                                              transaction is an item */
#define NGX_CHAT_HERALD_BYTES   (1024 * 1024)  /* of data in it, about */
#define NGX_CHAT_HERALD_REST    500        /* ms behind a failure of the log */
#define NGX_CHAT_HERALD_NEVER   INT64_MAX  /* a time */


typedef enum {
    NGX_CHAT_HERALD_IDLE_e = 0,
    NGX_CHAT_HERALD_READY_e,               /* has a batch to be sent */
    NGX_CHAT_HERALD_SENDING_e,
    NGX_CHAT_HERALD_ANSWERED_e             /* the database is to learn it */
} ngx_chat_herald_state_e;


/* A webhook: one batch at a time. */

typedef struct {
    ngx_chat_webhook_t     *conf;
    ngx_chat_hook_sh_t     *sh;            /* NULL: the table was too small */
    ngx_uint_t              state;
    int64_t                 due;           /* its rows are looked at then, by
                                              ngx_chat_clock_msec(); 0: now */
    uint64_t                batch;
    ngx_uint_t              n;             /* events of the batch */
    ngx_uint_t              tries;         /* before this one */
    int64_t                 tried;         /* time of the first try */
    int64_t                 surplus;       /* rows that were too many, in this
                                              transaction */
    ngx_str_t               body;          /* from malloc() */
    size_t                  size;          /* of that memory */

    ngx_uint_t              delivered;     /* the answer: all is well */
    ngx_uint_t              result;        /* a counter */
    long                    status;        /* 0: none */
    u_char                  error[NGX_CHAT_HOOK_ERROR];    /* NUL-terminated */

    unsigned                whole:1;       /* an answer's head has come */
    unsigned                failing:1;     /* its last try has failed */
    unsigned                given_up:1;    /* in this transaction */
    unsigned                revived:1;     /* the same of dead ones */
    unsigned                is_new:1;      /* has to be told what the others
                                              believe */

#if (NGX_CHAT_CURL)
    CURL                   *easy;
    struct curl_slist      *headers;
    char                    text[CURL_ERROR_SIZE];
#endif
} ngx_chat_herald_hook_t;


typedef enum {
    NGX_CHAT_HERALD_CENSUS_NONE_e = 0,
    NGX_CHAT_HERALD_CENSUS_DUE_e,          /* at a time */
    NGX_CHAT_HERALD_CENSUS_TAKEN_e         /* is in a table, to be compared */
} ngx_chat_herald_census_e;


/* Positions of records in the ring, the latest first. */

typedef struct {
    uint64_t                *positions;
    ngx_uint_t               n;
    ngx_uint_t               nalloc;
} ngx_chat_herald_chain_t;


/* What a herald does with it in a cluster, see ngx_chat_herald_cluster.c. */

typedef struct {
    ngx_chat_link_t          link;
    uint64_t                 worker;       /* its name for the engine, by
                                              chance */
    ngx_uint_t               leads;        /* this node sends webhooks, */
    uint64_t                 until;        /* for sure until then, ms */
    uint64_t                 term;         /* in that term */
    uint64_t                 ask;          /* ms: asks again then */
    uint64_t                 nobody;       /* ms: since when no node does, and
                                              this one lacks something; 0 */
    uint64_t                 row;          /* ids up to this one were given */
    uint64_t                 pause;        /* ms: forwards nothing before */
    uint64_t                 told;         /* ms: a refusal is not logged
                                              before */
    ngx_uint_t               adopted;      /* leads with what it has, though
                                              others had more */
    ngx_uint_t               revives;      /* attempts that failed */
    ngx_uint_t               lacks;        /* a node lacks some of the books */
    ngx_chat_herald_chain_t  chain;        /* records to be forwarded */
    ngx_uint_t               more;         /* messages may be untold yet */
} ngx_chat_herald_cluster_t;


typedef struct {
    ngx_chat_herald_conf_t  *conf;
    ngx_chat_link_conf_t    *link_conf;    /* NULL: no cluster */
    ngx_chat_zone_t         *zone;
    ngx_log_t               *log;

    ngx_chat_single_t        single;
    ngx_uint_t               empty;        /* the worker leaves, and has no
                                              session any more */
    void                    *multi;        /* libcurl's, changed with single's
                                              mutex; NULL: not loaded */

    int                      folder;       /* of the database; -1: can't be
                                              opened */
    off_t                    ages;         /* places of locks on it, and this
                                              one's */
    off_t                    age;
    ngx_uint_t               yields;       /* there is an older nginx */
    uint64_t                 waited;       /* ms, when there was one; 0: never,
                                              by the monotonic clock */

    ngx_chat_herald_hook_t  *hooks;        /* as many as conf->n */
    ngx_chat_hook_db_t       db;
    uint64_t                 file;         /* that of the database which is
                                              known, and its epoch */
    u_char                   epoch[NGX_CHAT_DB_EPOCH_LEN];
    ngx_uint_t               fresh;        /* knows nothing yet */
    uint64_t                 pause;        /* ms: nothing before that time, by
                                              the monotonic clock as all of
                                              these */
    uint64_t                 look;         /* the next look at what others
                                              have changed in the database */
    ngx_uint_t               trim;         /* the next round counts the rows,
                                              and removes some */
    int64_t                  expires;      /* ms since 1970: the next will be
                                              too old then */
    ngx_atomic_uint_t        added;        /* the zone's, as last seen */
    ngx_atomic_uint_t        generation;   /* of the zone */

    /* the ring's records */
    uint64_t                 position;     /* those before it are read */
    uint64_t                 stateless;    /* of those before it only state is
                                              of interest */
    uint64_t                 noted;        /* positions as in the database */
    uint64_t                 noted_read;
    ngx_chat_herald_chain_t  records;      /* to be read */
    uint64_t                 seq;          /* in a cluster: all that came with
                                              the log's items up to this one is
                                              read */
    uint64_t                 found;        /* the log's item up to which all
                                              records were found */
    uint64_t                 at;           /* time of the last one read */
    ngx_str_t                buf;          /* of one record */
    ngx_chat_hook_held_list_t  held;       /* ends that are held back */

    ngx_uint_t               newcomers;    /* webhooks that are new */
    ngx_uint_t               census;
    uint64_t                 census_due;
    int64_t                  census_row;   /* compared up to this one */
    ngx_uint_t               census_over;  /* the table is to be dropped */

    ngx_chat_herald_cluster_t  cluster;

    u_char                  *json;         /* of one event */
    size_t                   json_size;

#if (NGX_CHAT_CURL)
    ngx_chat_hook_curl_t    *curl;
#endif
    uint64_t                 curl_due;     /* of the next attempt to load it */
} ngx_chat_herald_t;


/*
 * ngx_chat_herald_age.c: other nginx that have the same database.  A worker
 * enrolls before its thread begins, which retires at its end.
 */
void ngx_chat_herald_enroll(ngx_chat_herald_t *h);
void ngx_chat_herald_retire(ngx_chat_herald_t *h);

/* 1 where there is an older one, whose herald does the work. */
ngx_uint_t ngx_chat_herald_has_elder(ngx_chat_herald_t *h);

/*
 * 1 where no younger one is there, and there was no reload since: only this
 * configuration tells which webhooks there are.
 */
ngx_uint_t ngx_chat_herald_is_last(ngx_chat_herald_t *h);


/* ngx_chat_herald_round.c: all that there is to do, in one transaction. */

/* Whether a round is due. */
ngx_uint_t ngx_chat_herald_is_due(ngx_chat_herald_t *h);

/* Another database was put in place of the one that is known. */
#define ngx_chat_herald_is_replaced(h)                                        \
    ((h)->file != (h)->db.handle.db.files.file                                \
     || ngx_memcmp((h)->epoch, (h)->db.handle.db.epoch,                       \
                   NGX_CHAT_DB_EPOCH_LEN) != 0)

/* The last one only writes down what is known, and sends nothing. */
void ngx_chat_herald_round(ngx_chat_herald_t *h, ngx_uint_t last);

/* Forgets what is known, and begins anew from the database. */
void ngx_chat_herald_reset(ngx_chat_herald_t *h);

/* ngx_chat_herald_learn.c: begins anew from the database, in the first round of
   a herald, or the first with another one. */
ngx_int_t ngx_chat_herald_learn(ngx_chat_herald_t *h);

/* In a transaction: what was given up is to be sent again. */
ngx_int_t ngx_chat_herald_revive(ngx_chat_herald_t *h,
    ngx_chat_herald_hook_t *hook);


/*
 * ngx_chat_herald_read.c: the ring's records.  Functions that use the database
 * return NGX_OK, NGX_BUSY or NGX_ERROR.
 */

#define ngx_chat_herald_newest(zone)                                          \
    __atomic_load_n(&(zone)->sh->hooks.last, __ATOMIC_ACQUIRE)

ngx_uint_t ngx_chat_herald_has_records(ngx_chat_herald_t *h);

/* Finds the records from a position on: their chain leads back.  NGX_OK;
   NGX_DECLINED: they were written over; NGX_ERROR. */
ngx_int_t ngx_chat_herald_find(ngx_chat_herald_t *h,
    ngx_chat_herald_chain_t *chain, uint64_t from);

/* Takes the oldest record of a chain; its strings are good until the next one.
   NGX_OK; NGX_DONE: it is broken; NGX_DECLINED, NGX_ERROR: as above. */
ngx_int_t ngx_chat_herald_next(ngx_chat_herald_t *h,
    ngx_chat_herald_chain_t *chain, ngx_chat_hook_record_t *rec);

/* Goes on behind the newest record: some were not read, and are lost. */
void ngx_chat_herald_overrun(ngx_chat_herald_t *h);

/* The same, for who is not the herald: 1 where the herald has read all. */
ngx_uint_t ngx_chat_herald_is_all_read(ngx_chat_zone_t *zone);

/* Reads at most *n records, and lets held ones go that are due. */
ngx_int_t ngx_chat_herald_read(ngx_chat_herald_t *h, ngx_uint_t *n);

/* Before it all is in the database, what is held apart. */
uint64_t ngx_chat_herald_position(ngx_chat_herald_t *h);

/* 1 where some webhook of the app wants one of the kinds of the channel. */
ngx_uint_t ngx_chat_herald_wants(ngx_chat_herald_t *h, uint64_t app,
    ngx_uint_t kinds, ngx_str_t *channel);

/* A state has begun: tells it where the receivers don't know. */
ngx_int_t ngx_chat_herald_believe(ngx_chat_herald_t *h,
    ngx_chat_hook_record_t *rec);


/*
 * ngx_chat_herald_cluster.c: with chat_cluster.  Without it this node leads,
 * and nothing is to be forwarded.
 */

void ngx_chat_herald_cluster_init(ngx_chat_herald_t *h);
void ngx_chat_herald_cluster_exit(ngx_chat_herald_t *h);

/* Whether this node is the one that sends webhooks; asks the engine now and
   then. */
ngx_uint_t ngx_chat_herald_leads(ngx_chat_herald_t *h);

/* This node does not: what its operator wants to be sent again is in the tables
   of all nodes then. */
void ngx_chat_herald_revive_for_others(ngx_chat_herald_t *h);

/* An item's bytes, in memory from malloc().  It gets a channel, since each item
   has one.  NGX_OK, NGX_ERROR. */
ngx_int_t ngx_chat_herald_pack(ngx_chat_herald_t *h,
    ngx_chat_log_item_t *item, ngx_chat_link_item_t *it);

/* Until when an append may take; last: not long. */
uint64_t ngx_chat_herald_patience(ngx_chat_herald_t *h, ngx_uint_t last);

/* NGX_OK: the log has it; NGX_AGAIN, NGX_DECLINED: nothing was done; NGX_ERROR:
   nobody knows. */
ngx_int_t ngx_chat_herald_append(ngx_chat_herald_t *h,
    ngx_chat_link_batch_t *b, uint64_t end);

/* All of the books go into the log, for a node that lacks some of them. */
void ngx_chat_herald_publish_all(ngx_chat_herald_t *h);

/* Ends a round's transaction, which goes into the log.  NGX_OK: it is in this
   node's database; else nobody may know. */
ngx_int_t ngx_chat_herald_publish(ngx_chat_herald_t *h, ngx_int_t rc,
    ngx_uint_t last);

/* In a transaction, before any other change: no id is given again. */
ngx_int_t ngx_chat_herald_skip_ids(ngx_chat_herald_t *h);

/* The last item of the log whose records are in the ring; 0 without a log. */
#define ngx_chat_herald_applied(h)                                            \
    ((h)->link_conf ? ngx_chat_link_get(&(h)->link_conf->sh->applied) : 0)

/* The first record behind an item of the log.  NGX_OK, NGX_DECLINED,
   NGX_ERROR. */
ngx_int_t ngx_chat_herald_find_seq(ngx_chat_herald_t *h, uint64_t seq,
    uint64_t *position);


/* ngx_chat_herald_forward.c: gives the others what this node alone knows; last:
   does not wait long. */
void ngx_chat_herald_forward(ngx_chat_herald_t *h, ngx_uint_t last);


/*
 * ngx_chat_herald_told.c: in a cluster message_stored is told of what the
 * database has, by the node that sends.  In a transaction.
 */
ngx_int_t ngx_chat_herald_tell_stored(ngx_chat_herald_t *h);


/* ngx_chat_herald_census.c: what is, compared to what the receivers believe. */

/* Without a transaction: lists what is.  NGX_OK or NGX_ERROR. */
ngx_int_t ngx_chat_herald_census_take(ngx_chat_herald_t *h);

/* In one: compares a part, *n channels and members at most. */
ngx_int_t ngx_chat_herald_census_compare(ngx_chat_herald_t *h, ngx_uint_t *n);


/* ngx_chat_herald_newcomer.c: webhooks that have just been configured. */

/* Which ones there are. */
ngx_int_t ngx_chat_herald_newcomers_learn(ngx_chat_herald_t *h);

/* Where there is one: tells it of so many channels and members, at most. */
ngx_int_t ngx_chat_herald_newcomers_tell(ngx_chat_herald_t *h, ngx_uint_t n);


/* ngx_chat_herald_outbox.c: the rows. */

/* Adds a row for each webhook that wants the event. */
ngx_int_t ngx_chat_herald_add(ngx_chat_herald_t *h,
    ngx_chat_hook_record_t *rec);

/* The same for one; event is its JSON, or is made where it is empty. */
ngx_int_t ngx_chat_herald_add_to(ngx_chat_herald_t *h,
    ngx_chat_herald_hook_t *hook, ngx_chat_hook_record_t *rec,
    ngx_str_t *event);

/* Chooses the rows that a webhook sends next, if they are due. */
ngx_int_t ngx_chat_herald_choose(ngx_chat_herald_t *h,
    ngx_chat_herald_hook_t *hook);

/* Writes down the answer. */
ngx_int_t ngx_chat_herald_settle(ngx_chat_herald_t *h,
    ngx_chat_herald_hook_t *hook);


/*
 * ngx_chat_herald_count.c: how many rows there are.
 *
 * Once in a while: counts them where somebody has changed something.  This is
 * no transaction, and waits for none.  What is to be done is left to a round.
 */
void ngx_chat_herald_look(ngx_chat_herald_t *h);

/*
 * In a transaction: gives up rows that are too many or that nobody sends, and
 * removes given up ones that are too many or too old.
 */
ngx_int_t ngx_chat_herald_trim(ngx_chat_herald_t *h);

/* That is committed: counts and logs rows that were too many. */
void ngx_chat_herald_surplus(ngx_chat_herald_t *h,
    ngx_chat_herald_hook_t *hook);


/* ngx_chat_herald_send.c: the requests. */

/* Starts the requests that are ready. */
void ngx_chat_herald_send(ngx_chat_herald_t *h);

/* Waits, for at most so many ms, and takes the answers that have come. */
void ngx_chat_herald_wait(ngx_chat_herald_t *h, ngx_uint_t ms);

/* Gives up the requests under way. */
void ngx_chat_herald_send_exit(ngx_chat_herald_t *h);

/* Ends a wait(): single's wake(), and so on the event loop. */
void ngx_chat_herald_wake(void *data);


#endif /* _NGX_CHAT_HERALD_WORK_H_INCLUDED_ */
