
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A node that lacks more than the log goes back to gets it from another node,
 * through the engine.
 *
 * It asks one node at a time: a field of the hash "fills", at which that node
 * looks with each beat.  The other one gives chunks, in a stream that is this
 * fill's own, and no more before some were taken.
 *
 * On the back's thread, which may wait.
 */


#ifndef _NGX_CHAT_LINK_FILL_H_INCLUDED_
#define _NGX_CHAT_LINK_FILL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <link/ngx_chat_link.h>


typedef struct {
    uint64_t                  id;      /* by chance; 0: there is none */
    uint64_t                  since;   /* messages behind this number are
                                          wanted */
} ngx_chat_link_fill_t;


typedef struct {
    ngx_str_t                 items;   /* as ngx_chat_log_item.h has them */
    ngx_chat_link_place_t     place;   /* term 0: more chunks follow; else it is
                                          the last one, and all up to this place
                                          was given */
    ngx_chat_engine_reply_t  *reply;   /* which has the items, for
                                          ngx_chat_engine_free() */
} ngx_chat_link_chunk_t;


/*
 * The functions below return NGX_OK; NGX_DECLINED: the engine has refused it;
 * NGX_ERROR: the connection is closed.
 */

/* Asks a node for a fill.  NGX_DECLINED: also where another node asks that one.
   */
ngx_int_t ngx_chat_link_fill_ask(ngx_chat_link_t *l, uint64_t node,
    ngx_chat_link_fill_t *fill);

/* What this node was asked for last; id 0: nothing, also where it fails.  It is
   not told again. */
ngx_int_t ngx_chat_link_fill_asked(ngx_chat_link_t *l, uint64_t node,
    ngx_chat_link_fill_t *fill);

/* How many chunks wait to be taken; 0 where it fails. */
ngx_int_t ngx_chat_link_fill_waiting(ngx_chat_link_t *l,
    ngx_chat_link_fill_t *fill, ngx_uint_t *n);

/* Gives chunk n, from 1 on.  NGX_AGAIN: nobody wants it any more. */
ngx_int_t ngx_chat_link_fill_give(ngx_chat_link_t *l,
    ngx_chat_link_fill_t *fill, ngx_uint_t n, ngx_chat_link_chunk_t *chunk);

/* Waits up to ms for chunk n.  NGX_AGAIN: there was none.  NGX_DECLINED: also
   where it is not the next one, or none that a node has made. */
ngx_int_t ngx_chat_link_fill_take(ngx_chat_link_t *l,
    ngx_chat_link_fill_t *fill, ngx_uint_t n, ngx_msec_t ms,
    ngx_chat_link_chunk_t *chunk);

/* Chunk n need not be kept any more. */
ngx_int_t ngx_chat_link_fill_taken(ngx_chat_link_t *l,
    ngx_chat_link_fill_t *fill, ngx_uint_t n);

/* Removes its stream.  What a node was asked for stays until it looks, or for a
   minute; it finds that nobody wants it any more. */
ngx_int_t ngx_chat_link_fill_end(ngx_chat_link_t *l,
    ngx_chat_link_fill_t *fill);


#endif /* _NGX_CHAT_LINK_FILL_H_INCLUDED_ */
