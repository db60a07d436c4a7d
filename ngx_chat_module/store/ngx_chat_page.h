
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Memory for pages of history.
 *
 * Threads make pages, and the event loop frees them.  malloc() would keep what
 * is freed so, for each thread: many times the largest page.  So a large page
 * has a mapping of its own, which goes back to the system at once.
 */


#ifndef _NGX_CHAT_PAGE_H_INCLUDED_
#define _NGX_CHAT_PAGE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* Makes room for size bytes where there was room for old.  NULL: no memory. */
u_char *ngx_chat_page_resize(u_char *p, size_t old, size_t size);

/* size: the room that there is. */
void ngx_chat_page_free(u_char *p, size_t size);


#endif /* _NGX_CHAT_PAGE_H_INCLUDED_ */
