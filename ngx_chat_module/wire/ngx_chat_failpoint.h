
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Places where a test kills the process, or has a pointer go bad, by their
 * names.  Nothing at all but in the tests' own build: t/tools/build.sh
 * failpoints.
 *
 * CHAT_FAILPOINTS in the environment names a file, which says where, twice:
 * the name in 56 bytes ("*": any), then the number of passes up to the kill,
 * as int64_t.  The file may be written at any time.
 */


#ifndef _NGX_CHAT_FAILPOINT_H_INCLUDED_
#define _NGX_CHAT_FAILPOINT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#if (NGX_CHAT_FAILPOINTS)

void ngx_chat_failpoint(const char *name);
ngx_uint_t ngx_chat_failpoint_spoils(const char *name);

/* Instead of the kill the pointer is one that nobody can follow. */

#define ngx_chat_failpoint_spoil(name, p)                                     \
    if (ngx_chat_failpoint_spoils(name)) {                                    \
        (p) = (void *) NGX_ALIGNMENT;                                         \
    }

#else

#define ngx_chat_failpoint(name)
#define ngx_chat_failpoint_spoil(name, p)

#endif


#endif /* _NGX_CHAT_FAILPOINT_H_INCLUDED_ */
