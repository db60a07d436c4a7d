
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What all workers of a node know of the cluster, in shared memory.
 *
 * The back (store/ngx_chat_back.h), which is one thread of the node, writes it;
 * all others read it without a lock, each word by itself.  Those that wait for
 * a change sleep on turns (shared/ngx_chat_futex.h).
 */


#ifndef _NGX_CHAT_LINK_SH_H_INCLUDED_
#define _NGX_CHAT_LINK_SH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <pthread.h>


#define NGX_CHAT_LINK_EPOCH  32        /* hexadecimal digits */
#define NGX_CHAT_LINK_NODES  32        /* that are shown */
#define NGX_CHAT_LINK_NAMED  64        /* bytes of a node's name */


/* A place in the log: the end of an entry. */

typedef struct {
    uint64_t           term;
    uint64_t           seq;
    uint64_t           nonce;          /* 0: not known, at the very beginning */
} ngx_chat_link_place_t;


/* A node, as the engine has told last. */

typedef struct {
    uint64_t           incarnation;    /* set last; 0: there is none here */
    uint64_t           until;          /* ms, by the monotonic clock: when its
                                          lease is over */
    size_t             len;
    u_char             name[NGX_CHAT_LINK_NAMED];
} ngx_chat_link_node_t;


typedef struct {
    pthread_mutex_t    lease;          /* its holder is the back */
    pthread_mutex_t    announcer;      /* of the announcer */
    uint32_t           turns;          /* goes up with each change */
    uint32_t           doubt;          /* a front wants the back to look at the
                                          engine's term */
    uint64_t           term;           /* 0: the node is not in the cluster */
    uint64_t           incarnation;    /* of the node in this term */
    uint64_t           applied;        /* items of the log up to this number
                                          are in the ring */
    uint64_t           stored;         /* the database, which is file, has all
                                          messages up to this number */
    uint32_t           nplaces;        /* how often the place was set; 0: it
                                          was not yet */
    ngx_chat_link_place_t  places[2];  /* the place is the one of nplaces % 2:
                                          whoever is killed while it changes
                                          leaves the one before */
    uint64_t           file;           /* inode of the database that the place
                                          is about */
    uint64_t           quiet;          /* what is not stored, up to this number,
                                          is of before this nginx */
    uint64_t           census_term;    /* the census was taken in that term, */
    uint64_t           census_generation;  /* of the zone's generation, plus
                                          one, */
    uint64_t           census_from;    /* and has all up to this number */

    /* for operators */
    uint64_t           alive;          /* ms, by the monotonic clock: when the
                                          node was in the cluster last, or has
                                          begun to try; 0: it has not yet */
    uint64_t           last;           /* the log's last item, as was told with
                                          the nodes */
    uint64_t           lost;           /* times the engine had lost something */
    uint64_t           trimmed;        /* times the log did not go back far
                                          enough */
    ngx_chat_link_node_t  nodes[NGX_CHAT_LINK_NODES];
} ngx_chat_link_sh_t;


#define ngx_chat_link_get(p)         __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define ngx_chat_link_set(p, value)  __atomic_store_n(p, value,               \
                                                      __ATOMIC_RELEASE)


/* Master, before it forks.  NGX_OK, NGX_ERROR. */
ngx_int_t ngx_chat_link_sh_init(ngx_chat_link_sh_t *sh);

/* The back's: how far it has come.  get() is NGX_OK, or NGX_DECLINED where that
   was not set yet. */
void ngx_chat_link_sh_set_place(ngx_chat_link_sh_t *sh,
    ngx_chat_link_place_t *place);
ngx_int_t ngx_chat_link_sh_get_place(ngx_chat_link_sh_t *sh,
    ngx_chat_link_place_t *place);

/* The back's: sets node i of those that are shown.  An incarnation of 0: there
   is none.  get() copies one.  NGX_OK, NGX_DECLINED. */
void ngx_chat_link_sh_set_node(ngx_chat_link_sh_t *sh, ngx_uint_t i,
    ngx_chat_link_node_t *node);
ngx_int_t ngx_chat_link_sh_get_node(ngx_chat_link_sh_t *sh, ngx_uint_t i,
    ngx_chat_link_node_t *node);

/* Waits until a number, applied or stored, is at least seq, until a time of the
   monotonic clock.  NGX_OK, NGX_AGAIN. */
ngx_int_t ngx_chat_link_sh_wait(ngx_chat_link_sh_t *sh, uint64_t *number,
    uint64_t seq, uint64_t end);


#endif /* _NGX_CHAT_LINK_SH_H_INCLUDED_ */
