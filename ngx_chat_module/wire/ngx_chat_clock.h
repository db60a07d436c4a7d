
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The two clocks: the monotonic clock is for intervals, the wall clock for
 * times that people see.  Pure; any thread may call.  On most machines Linux
 * answers without a system call.
 */


#ifndef _NGX_CHAT_CLOCK_H_INCLUDED_
#define _NGX_CHAT_CLOCK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* CLOCK_MONOTONIC, the clock of ngx_current_msec, in milliseconds and in
   microseconds. */
uint64_t ngx_chat_clock_msec(void);
uint64_t ngx_chat_clock_usec(void);

/* CLOCK_REALTIME, in milliseconds since 1970. */
int64_t ngx_chat_clock_wall(void);


#endif /* _NGX_CHAT_CLOCK_H_INCLUDED_ */
