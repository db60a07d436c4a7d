
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Lines of the HTTP fallback (Pusher protocol, section 8.3).  Pure.
 *
 * Lines are ASCII: all else is escaped.  So a browser counts as many UTF-16
 * units as there are bytes, and both sides know when an answer is too long.
 */


#ifndef _NGX_CHAT_LINE_H_INCLUDED_
#define _NGX_CHAT_LINE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* the first line of a session */
#define NGX_CHAT_LINE_OPEN  "o\n"

#define NGX_CHAT_LINE_TYPE  "application/javascript; charset=UTF-8"

/* An answer that has more units than this is done at the end of its line. */
#define NGX_CHAT_LINE_UNITS  262144


/*
 * The WebSocket frame at *pos as a line: a text is an event, a Ping a
 * heartbeat, a Close frame tells its code and reason.  The frame is a whole
 * one, as ngx_chat_frame_write_header() begins it.  Writes to buf, or only
 * counts where buf is NULL; moves *pos behind the frame.  Returns the length,
 * which is 0 for other frames.
 */
size_t ngx_chat_line_render(u_char *buf, u_char **pos);


#endif /* _NGX_CHAT_LINE_H_INCLUDED_ */
