
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Places where a test kills the process or spoils a pointer.  Any thread may
 * come to them.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <wire/ngx_chat_failpoint.h>


#if (NGX_CHAT_FAILPOINTS)


typedef struct {
    char               name[56];
    int64_t            passes;
} ngx_chat_failpoint_t;


#define NGX_CHAT_FAILPOINT_N  2        /* armed at a time */


static ngx_uint_t ngx_chat_failpoint_is_due(const char *name,
    const char *any);
static ngx_chat_failpoint_t *ngx_chat_failpoint_map(void);


void
ngx_chat_failpoint(const char *name)
{
    if (ngx_chat_failpoint_is_due(name, "*")) {
        (void) kill(getpid(), SIGKILL);
    }
}


ngx_uint_t
ngx_chat_failpoint_spoils(const char *name)
{
    return ngx_chat_failpoint_is_due(name, name);
}


static ngx_uint_t
ngx_chat_failpoint_is_due(const char *name, const char *any)
{
    ngx_uint_t             i;
    ngx_chat_failpoint_t  *f;

    static ngx_chat_failpoint_t  none[NGX_CHAT_FAILPOINT_N], *map;

    f = __atomic_load_n(&map, __ATOMIC_ACQUIRE);

    if (f == NULL) {
        f = ngx_chat_failpoint_map();
        f = f ? f : none;
        __atomic_store_n(&map, f, __ATOMIC_RELEASE);
    }

    for (i = 0; i < NGX_CHAT_FAILPOINT_N; i++, f++) {

        if (strncmp(f->name, name, sizeof(f->name)) != 0
            && strncmp(f->name, any, sizeof(f->name)) != 0)
        {
            continue;
        }

        if (__atomic_sub_fetch(&f->passes, 1, __ATOMIC_SEQ_CST) == 0) {
            return 1;
        }
    }

    return 0;
}


static ngx_chat_failpoint_t *
ngx_chat_failpoint_map(void)
{
    int          fd;
    void        *p;
    const char  *path;

    path = getenv("CHAT_FAILPOINTS");
    if (path == NULL) {
        return NULL;
    }

    fd = open(path, O_RDWR|O_CLOEXEC);
    if (fd == -1) {
        return NULL;
    }

    p = mmap(NULL, NGX_CHAT_FAILPOINT_N * sizeof(ngx_chat_failpoint_t),
             PROT_READ|PROT_WRITE, MAP_SHARED, fd, 0);

    (void) close(fd);

    return (p == MAP_FAILED) ? NULL : p;
}


#endif
