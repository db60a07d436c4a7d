
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Memory for pages of history: from malloc(), or a mapping where it is large.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <store/ngx_chat_page.h>


#define NGX_CHAT_PAGE_LARGE  (128 * 1024)


u_char *
ngx_chat_page_resize(u_char *p, size_t old, size_t size)
{
    void  *new;

    if (size < NGX_CHAT_PAGE_LARGE) {
        return realloc(p, size);
    }

    if (old >= NGX_CHAT_PAGE_LARGE) {
        new = mremap(p, old, size, MREMAP_MAYMOVE);
        return (new == MAP_FAILED) ? NULL : new;
    }

    new = mmap(NULL, size, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1,
               0);
    if (new == MAP_FAILED) {
        return NULL;
    }

    if (old) {
        ngx_memcpy(new, p, old);
        free(p);
    }

    return new;
}


void
ngx_chat_page_free(u_char *p, size_t size)
{
    if (size < NGX_CHAT_PAGE_LARGE) {
        free(p);

    } else {
        (void) munmap(p, size);
    }
}
