
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A row of a page of the history, for chat_events: this, and behind it the name
 * and the data of the event.
 */


#ifndef _NGX_CHAT_EVENTS_ROW_H_INCLUDED_
#define _NGX_CHAT_EVENTS_ROW_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <store/ngx_chat_store.h>


/* Not aligned where it stands in a page. */

typedef struct {
    uint64_t                 id;
    size_t                   event;        /* lengths */
    size_t                   data;
} ngx_chat_events_row_t;


#define ngx_chat_events_row_size(row)                                         \
    (sizeof(ngx_chat_events_row_t) + (row)->event + (row)->data)


/*
 * On a thread: a message as a row.  Returns its length, or NGX_ERROR; only
 * counts where buf is NULL.
 */
ssize_t ngx_chat_events_row_render(ngx_chat_record_t *rec, u_char *buf,
    size_t size);


#endif /* _NGX_CHAT_EVENTS_ROW_H_INCLUDED_ */
