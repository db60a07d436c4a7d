
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The largest of many values: of all, and of those of the last minute or
 * two.  Pure.
 *
 * One process adds and any other reads, without a lock.  A reader may get the
 * value of the minute before where the window changes meanwhile.
 */


#ifndef _NGX_CHAT_ROLLING_MAX_H_INCLUDED_
#define _NGX_CHAT_ROLLING_MAX_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* ms; a value stays recent for one to two windows, so that a reader that
   looks once a minute sees each value */
#define NGX_CHAT_ROLLING_MAX_WINDOW  60000


typedef struct {
    uint64_t                 worst;        /* since init() */
    uint64_t                 current;      /* of the window that runs */
    uint64_t                 previous;     /* of the one before */
    uint64_t                 began;        /* the window, in ms */
} ngx_chat_rolling_max_t;


void ngx_chat_rolling_max_init(ngx_chat_rolling_max_t *max, uint64_t now);

/* now is in ms, and never goes back. */
void ngx_chat_rolling_max_add(ngx_chat_rolling_max_t *max, uint64_t value,
    uint64_t now);

uint64_t ngx_chat_rolling_max_recent(ngx_chat_rolling_max_t *max,
    uint64_t now);


#endif /* _NGX_CHAT_ROLLING_MAX_H_INCLUDED_ */
