
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Failpoints: named places where a test kills the process or spoils a
 * pointer.  Only the tests' own build has them (t/tools/build.sh failpoints);
 * in all others they are empty macros.
 *
 * The environment variable CHAT_FAILPOINTS names a file of two entries.  An
 * entry is a failpoint's name in 56 bytes ("*": any), then as int64_t how
 * often the process must come to the place until it fails.  The test may
 * write the file at any time.
 */


#ifndef _NGX_CHAT_FAILPOINT_H_INCLUDED_
#define _NGX_CHAT_FAILPOINT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#if (NGX_CHAT_FAILPOINTS)

void ngx_chat_failpoint(const char *name);
ngx_uint_t ngx_chat_failpoint_spoils(const char *name);

/* No kill: the pointer becomes one that cannot be dereferenced. */

#define ngx_chat_failpoint_spoil(name, p)                                     \
    if (ngx_chat_failpoint_spoils(name)) {                                    \
        (p) = (void *) NGX_ALIGNMENT;                                         \
    }

#else

#define ngx_chat_failpoint(name)
#define ngx_chat_failpoint_spoil(name, p)

#endif


#endif /* _NGX_CHAT_FAILPOINT_H_INCLUDED_ */
