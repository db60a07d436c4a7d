
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The ring.  A record is a header and its bytes, contiguous.  Where it does not
 * fit before the end of the memory, a padding record fills the rest, and both
 * become visible together.
 *
 * Order of stores.  A writer first moves tail past all that it is going to
 * overwrite, then writes.  A reader first copies, then looks at tail: if tail
 * is not beyond the record's position, the copy is whole.  Between tail and
 * head all records are whole at every instant, whenever a writer was killed.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <bus/ngx_chat_ring.h>
#include <wire/ngx_chat_failpoint.h>


#define NGX_CHAT_RING_ALIGNMENT  16


#define ngx_chat_ring_load(p)                                                 \
    __atomic_load_n(p, __ATOMIC_ACQUIRE)

#define ngx_chat_ring_peek(p)                                                 \
    __atomic_load_n(p, __ATOMIC_RELAXED)

#define ngx_chat_ring_poke(p, value)                                          \
    __atomic_store_n(p, value, __ATOMIC_RELAXED)

#define ngx_chat_ring_store(p, value)                                         \
    __atomic_store_n(p, value, __ATOMIC_RELEASE)


typedef enum {
    NGX_CHAT_RING_RECORD_e = 1,
    NGX_CHAT_RING_PADDING_e
} ngx_chat_ring_kind_e;


/* As long as the alignment, so that one fits wherever a record ended. */
typedef struct {
    uint32_t           len;            /* of the bytes that follow */
    uint32_t           kind;
    uint64_t           position;       /* its own, as a check */
} ngx_chat_ring_record_sh_t;


static void ngx_chat_ring_hold_mark(ngx_chat_ring_sh_t *ring);
static uint64_t ngx_chat_ring_place(ngx_chat_ring_sh_t *ring, size_t len,
    uint64_t *end);
static void ngx_chat_ring_free(ngx_chat_ring_sh_t *ring, uint64_t end);
static void ngx_chat_ring_write(ngx_chat_ring_sh_t *ring, uint64_t position,
    size_t len, ngx_chat_ring_kind_e kind);
static void ngx_chat_ring_copy(ngx_chat_ring_sh_t *ring, uint64_t position,
    u_char *buf, size_t len);
static ngx_int_t ngx_chat_ring_look(ngx_chat_ring_sh_t *ring,
    uint64_t position, uint64_t head, ngx_chat_ring_record_sh_t *rec);


#define ngx_chat_ring_at(ring, position)                                      \
    ((ring)->data + (size_t) ((position) % (ring)->size))

/* The room that a record takes, header included. */
#define ngx_chat_ring_room(len)                                               \
    ((uint64_t) ngx_align(sizeof(ngx_chat_ring_record_sh_t) + (size_t) (len), \
                          NGX_CHAT_RING_ALIGNMENT))


void
ngx_chat_ring_init(ngx_chat_ring_sh_t *ring, size_t size)
{
    memset(ring, 0, sizeof(ngx_chat_ring_sh_t));

    size -= sizeof(ngx_chat_ring_sh_t);

    ring->size = size - size % NGX_CHAT_RING_ALIGNMENT;
}


ngx_int_t
ngx_chat_ring_append(ngx_chat_ring_sh_t *ring, ngx_chat_envelope_t *e,
    uint64_t *position)
{
    u_char    *p;
    size_t     len;
    uint64_t   end;

    len = ngx_chat_envelope_size(e);

    ngx_chat_failpoint("append");

    p = ngx_chat_ring_reserve(ring, len);

    if (p == NULL) {
        return NGX_DECLINED;
    }

    ngx_chat_failpoint("append reserved");

    (void) ngx_chat_envelope_pack(p, e);

    ngx_chat_failpoint("append packed");

    end = ngx_chat_ring_commit(ring, len, e->message);

    ngx_chat_failpoint("appended");

    if (position) {
        *position = end;
    }

    return NGX_OK;
}


size_t
ngx_chat_ring_record_max(ngx_chat_ring_sh_t *ring)
{
    return ring->size / 4;
}


u_char *
ngx_chat_ring_reserve(ngx_chat_ring_sh_t *ring, size_t len)
{
    uint64_t  start, end;

    if (len > ngx_chat_ring_record_max(ring)) {
        return NULL;
    }

    ngx_chat_ring_hold_mark(ring);

    start = ngx_chat_ring_place(ring, len, &end);

    ngx_chat_ring_free(ring, end);

    if (start != ring->head) {
        ngx_chat_ring_write(ring, ring->head,
                            start - ring->head
                            - sizeof(ngx_chat_ring_record_sh_t),
                            NGX_CHAT_RING_PADDING_e);
    }

    ngx_chat_ring_write(ring, start, len, NGX_CHAT_RING_RECORD_e);

    return ngx_chat_ring_at(ring, start) + sizeof(ngx_chat_ring_record_sh_t);
}


uint64_t
ngx_chat_ring_commit(ngx_chat_ring_sh_t *ring, size_t len, uint64_t mark)
{
    uint64_t  end;

    (void) ngx_chat_ring_place(ring, len, &end);

    if (mark) {
        ngx_chat_failpoint("ring commit");
        ngx_chat_ring_store(&ring->mark_next, mark);
        ngx_chat_failpoint("ring mark");
        ngx_chat_ring_store(&ring->mark_head, end);
    }

    ngx_chat_failpoint("ring marked");

    ngx_chat_ring_store(&ring->head, end);

    ring->records++;
    ring->marks += (mark != 0);

    return end;
}


uint64_t
ngx_chat_ring_next(ngx_chat_ring_sh_t *ring, size_t len)
{
    uint64_t  end;

    return ngx_chat_ring_place(ring, len, &end);
}


uint64_t
ngx_chat_ring_mark(ngx_chat_ring_sh_t *ring)
{
    if (ring->mark_head && ring->head >= ring->mark_head) {
        return ring->mark_next;
    }

    return ring->mark;
}


void
ngx_chat_ring_set_mark(ngx_chat_ring_sh_t *ring, uint64_t mark)
{
    ngx_chat_ring_store(&ring->mark, mark);
    ngx_chat_ring_store(&ring->mark_head, 0);
}


uint64_t
ngx_chat_ring_head(ngx_chat_ring_sh_t *ring)
{
    return ngx_chat_ring_load(&ring->head);
}


uint64_t
ngx_chat_ring_tail(ngx_chat_ring_sh_t *ring)
{
    return ngx_chat_ring_load(&ring->tail);
}


ngx_int_t
ngx_chat_ring_read(ngx_chat_ring_sh_t *ring, uint64_t *pos, uint64_t *at,
    u_char *buf, size_t size, size_t *len)
{
    uint64_t                   p, head;
    ngx_chat_ring_record_sh_t  rec;

    p = *pos;
    head = ngx_chat_ring_load(&ring->head);

    if (p == head) {
        return NGX_DONE;
    }

    if (ngx_chat_ring_look(ring, p, head, &rec) != NGX_OK) {
        goto overrun;
    }

    if (rec.kind == NGX_CHAT_RING_PADDING_e) {
        p += ngx_chat_ring_room(rec.len);

        if (ngx_chat_ring_look(ring, p, head, &rec) != NGX_OK) {
            goto overrun;
        }
    }

    *len = rec.len;

    if (rec.len > size) {
        return NGX_AGAIN;
    }

    ngx_chat_ring_copy(ring, p, buf, rec.len);

    __atomic_thread_fence(__ATOMIC_ACQUIRE);

    if (ngx_chat_ring_peek(&ring->tail) > p) {
        goto overrun;
    }

    *at = p;
    *pos = p + ngx_chat_ring_room(rec.len);

    return NGX_OK;

overrun:

    *pos = ngx_chat_ring_load(&ring->head);

    return NGX_DECLINED;
}


/*
 * Decides on the mark of the last append: it holds if head has reached
 * mark_head.  That is done before head moves on.  Otherwise, if the writer was
 * killed before its store of head, the next append would make its mark hold.
 */

static void
ngx_chat_ring_hold_mark(ngx_chat_ring_sh_t *ring)
{
    if (ring->mark_head == 0) {
        return;
    }

    if (ring->head >= ring->mark_head) {
        ngx_chat_ring_store(&ring->mark, ring->mark_next);
    }

    ngx_chat_failpoint("ring mark held");

    ngx_chat_ring_store(&ring->mark_head, 0);
}


/* Where a record of len bytes starts and ends: at head, or behind padding. */

static uint64_t
ngx_chat_ring_place(ngx_chat_ring_sh_t *ring, size_t len, uint64_t *end)
{
    uint64_t  start, left;

    start = ring->head;
    left = ring->size - start % ring->size;

    if (left < ngx_chat_ring_room(len)) {
        start += left;
    }

    *end = start + ngx_chat_ring_room(len);

    return start;
}


/* Moves tail past the oldest records, so that all before end may be written. */

static void
ngx_chat_ring_free(ngx_chat_ring_sh_t *ring, uint64_t end)
{
    uint64_t                    tail;
    ngx_chat_ring_record_sh_t  *rec;

    tail = ring->tail;

    while (end - tail > ring->size) {

        rec = (ngx_chat_ring_record_sh_t *) ngx_chat_ring_at(ring, tail);

        if (rec->position != tail) {
            /* memory was damaged: all is lost, and the readers are told */
            tail = ring->head;
            break;
        }

        tail += ngx_chat_ring_room(rec->len);
    }

    ngx_chat_ring_store(&ring->tail, tail);

    ngx_chat_failpoint("ring tail");

    /* before any byte that the caller writes */
    __atomic_thread_fence(__ATOMIC_RELEASE);
}


static void
ngx_chat_ring_write(ngx_chat_ring_sh_t *ring, uint64_t position, size_t len,
    ngx_chat_ring_kind_e kind)
{
    ngx_chat_ring_record_sh_t  *rec;

    rec = (ngx_chat_ring_record_sh_t *) ngx_chat_ring_at(ring, position);

    /* single stores: a reader that was overrun may be looking */

    ngx_chat_ring_poke(&rec->len, (uint32_t) len);
    ngx_chat_ring_poke(&rec->kind, kind);

    ngx_chat_failpoint("ring record");

    ngx_chat_ring_poke(&rec->position, position);
}


/*
 * The one place where bytes may be read while a writer changes them.  By C's
 * rules that is a data race.  The caller looks at tail afterwards, and uses the
 * copy only if nobody has written meanwhile.  Atomic loads of each byte would
 * be several times slower.  t/tsan/ excepts this function by its name.
 */

static void
ngx_chat_ring_copy(ngx_chat_ring_sh_t *ring, uint64_t position, u_char *buf,
    size_t len)
{
    u_char  *p;

    p = ngx_chat_ring_at(ring, position) + sizeof(ngx_chat_ring_record_sh_t);

    memcpy(buf, p, len);
}


/*
 * Copies a record's header and checks it.  NGX_OK: it was whole, and its
 * bytes are within the ring; NGX_DECLINED: overrun.
 */

static ngx_int_t
ngx_chat_ring_look(ngx_chat_ring_sh_t *ring, uint64_t position, uint64_t head,
    ngx_chat_ring_record_sh_t *rec)
{
    uint64_t                    room;
    ngx_chat_ring_record_sh_t  *from;

    if (position >= head) {
        return NGX_DECLINED;
    }

    from = (ngx_chat_ring_record_sh_t *) ngx_chat_ring_at(ring, position);

    rec->len = ngx_chat_ring_peek(&from->len);
    rec->kind = ngx_chat_ring_peek(&from->kind);
    rec->position = ngx_chat_ring_peek(&from->position);

    __atomic_thread_fence(__ATOMIC_ACQUIRE);

    if (ngx_chat_ring_peek(&ring->tail) > position
        || rec->position != position)
    {
        return NGX_DECLINED;
    }

    room = ngx_chat_ring_room(rec->len);

    if (room > head - position
        || room > ring->size - position % ring->size)
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}
