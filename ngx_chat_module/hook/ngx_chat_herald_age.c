
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Several nginx on one database, as during an upgrade in place: each has a zone
 * of its own and knows its own clients only.  The herald is that of the oldest
 * one.  When its last worker has gone, that of the next one takes up what is in
 * its own ring, and compares who is there.
 *
 * Each worker has a lock of the kernel's, which ends with the process, however
 * that ends.  It is on the database's folder, since nobody else may lock what
 * SQLite does: on a byte whose place is made of the file's name and of the time
 * when the zone was made, by a clock that all processes share.  So one question
 * tells whether there is a worker of an older nginx.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <hook/ngx_chat_herald_work.h>
#include <wire/ngx_chat_hash.h>


/* bytes for each of the names, of which so many are told apart */
#define NGX_CHAT_HERALD_TIMES   ((off_t) 1 << 42)
#define NGX_CHAT_HERALD_NAMES   (1 << 20)


static ngx_uint_t ngx_chat_herald_has_lock(ngx_chat_herald_t *h, off_t first,
    off_t end);


void
ngx_chat_herald_enroll(ngx_chat_herald_t *h)
{
    char                  folder[NGX_MAX_PATH];
    size_t                len;
    ngx_str_t            *path;
    struct flock          lock;
    ngx_chat_hash_key_t   key;

    path = &h->conf->store->path;

    for (len = path->len; len > 1 && path->data[len - 1] != '/'; len--) {
        /* void */
    }

    ngx_memzero(&key, sizeof(ngx_chat_hash_key_t));

    h->ages = (off_t) (ngx_chat_hash(&key, path->data + len, path->len - len)
                       % NGX_CHAT_HERALD_NAMES) * NGX_CHAT_HERALD_TIMES;
    h->age = h->ages + (off_t) h->zone->sh->started % NGX_CHAT_HERALD_TIMES;

    ngx_memzero(&lock, sizeof(struct flock));

    lock.l_type = F_RDLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = h->age;
    lock.l_len = 1;

    (void) ngx_cpystrn((u_char *) folder, path->data,
                       ngx_min(len + 1, sizeof(folder)));

    h->folder = open(folder, O_RDONLY|O_CLOEXEC);

    if (h->folder == -1 || fcntl(h->folder, F_OFD_SETLK, &lock) == -1) {
        ngx_log_error(NGX_LOG_WARN, h->log, ngx_errno,
                      "chat webhooks could not lock \"%s\", and don't wait for "
                      "an older nginx there", folder);
    }
}


void
ngx_chat_herald_retire(ngx_chat_herald_t *h)
{
    if (h->folder != -1) {
        (void) close(h->folder);
    }
}


ngx_uint_t
ngx_chat_herald_has_elder(ngx_chat_herald_t *h)
{
    return ngx_chat_herald_has_lock(h, h->ages, h->age);
}


ngx_uint_t
ngx_chat_herald_is_last(ngx_chat_herald_t *h)
{
    return __atomic_load_n(&h->zone->sh->hooks.configured, __ATOMIC_RELAXED)
           == h->conf->number
           && !ngx_chat_herald_has_lock(h, h->age + 1,
                                        h->ages + NGX_CHAT_HERALD_TIMES);
}


/* Whether somebody has a lock there, before the end. */

static ngx_uint_t
ngx_chat_herald_has_lock(ngx_chat_herald_t *h, off_t first, off_t end)
{
    struct flock  lock;

    /* a length of 0 would be one without an end */

    if (h->folder == -1 || first == end) {
        return 0;
    }

    ngx_memzero(&lock, sizeof(struct flock));

    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = first;
    lock.l_len = end - first;

    return fcntl(h->folder, F_OFD_GETLK, &lock) == 0
           && lock.l_type != F_UNLCK;
}
