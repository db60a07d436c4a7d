
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A ring of records in memory that several processes map: one log with one
 * order.  Pure.
 *
 * Writers are serialized by the caller, by the zone's lock.  Readers take no
 * lock: each copies a record and then looks whether it was overwritten
 * meanwhile.  A position is the number of bytes since the ring was made, so it
 * only grows.
 *
 * A writer may be killed at any instruction.  Its last store is that of head.
 * Before that store readers see nothing new, and the next writer overwrites
 * what was left.  The same store moves the mark, which is the id of the last
 * stored message in the ring: see ngx_chat_ring_commit().
 */


#ifndef _NGX_CHAT_RING_H_INCLUDED_
#define _NGX_CHAT_RING_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <wire/ngx_chat_envelope.h>


typedef struct {
    uint64_t           size;           /* of data[], a multiple of 16 */
    uint64_t           head;           /* where the next record goes */
    uint64_t           tail;           /* the oldest record that is whole */
    uint64_t           mark;           /* of appends before the last one */
    uint64_t           mark_next;      /* of the last append */
    uint64_t           mark_head;      /* the head from which mark_next holds;
                                          0: mark_next is none */
    uint64_t           records;        /* number of appends */
    uint64_t           marks;          /* number of appends with a mark */
    u_char             data[];
} ngx_chat_ring_sh_t;


/* A place in the order of events. */

typedef struct {
    uint64_t           position;
    uint64_t           mark;           /* id of the last stored message that
                                          is before it, in any channel */
} ngx_chat_ring_place_t;


/*
 * Makes an empty ring of all the memory given, aligned to 16 bytes; size is
 * in bytes, not less than 1024.
 */
void ngx_chat_ring_init(ngx_chat_ring_sh_t *ring, size_t size);

/*
 * Appends an event, as an envelope.  The caller holds the lock that serializes
 * writers, and rouses the workers when it has given the lock back.  NGX_OK,
 * with *position, where that is not NULL, behind the event; NGX_DECLINED:
 * longer than the ring takes.
 */
ngx_int_t ngx_chat_ring_append(ngx_chat_ring_sh_t *ring,
    ngx_chat_envelope_t *e, uint64_t *position);

/* The longest record that reserve() takes: a quarter of the ring. */
size_t ngx_chat_ring_record_max(ngx_chat_ring_sh_t *ring);

/*
 * Starts a record of len bytes: the memory to fill, or NULL where it is too
 * long.  The caller holds the lock until commit().
 */
u_char *ngx_chat_ring_reserve(ngx_chat_ring_sh_t *ring, size_t len);

/*
 * Publishes the record that reserve() started.  Where mark is not 0, it becomes
 * the ring's mark by the same store.  Returns the position behind the record.
 */
uint64_t ngx_chat_ring_commit(ngx_chat_ring_sh_t *ring, size_t len,
    uint64_t mark);

/*
 * The position that the next record gets, where it has len bytes.  The caller
 * holds the lock.
 */
uint64_t ngx_chat_ring_next(ngx_chat_ring_sh_t *ring, size_t len);

/* The mark.  The caller holds the lock. */
uint64_t ngx_chat_ring_mark(ngx_chat_ring_sh_t *ring);

/*
 * Sets the mark: the ids of records from now on are larger, those of records
 * before are of no use any more.  The caller holds the lock.
 */
void ngx_chat_ring_set_mark(ngx_chat_ring_sh_t *ring, uint64_t mark);

/* The position behind the last record, for a new reader. */
uint64_t ngx_chat_ring_head(ngx_chat_ring_sh_t *ring);

/* The position of the oldest record. */
uint64_t ngx_chat_ring_tail(ngx_chat_ring_sh_t *ring);

/*
 * Copies the record at *pos into buf and moves *pos behind it; *at becomes
 * the record's own position.  NGX_OK with *len set; NGX_DONE: none yet;
 * NGX_AGAIN: buf is too small, *len is what it needs; NGX_DECLINED: overrun,
 * records were lost, *pos is at the head.
 */
ngx_int_t ngx_chat_ring_read(ngx_chat_ring_sh_t *ring, uint64_t *pos,
    uint64_t *at, u_char *buf, size_t size, size_t *len);


#endif /* _NGX_CHAT_RING_H_INCLUDED_ */
