
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A ring of records on plain memory that several processes map: one log with
 * one order.  Pure.
 *
 * Writers are serialized by the caller (the zone's lock).  Readers take no
 * lock: each copies a record out and then asks whether it was overwritten
 * meanwhile.  Positions are bytes since the ring was made and never return.
 *
 * A writer may be killed at any instruction.  Until the last store, that of
 * head, nothing has happened for a reader, and the next writer overwrites
 * what was left.  The mark (the id of the last stored message in the ring)
 * moves by the same store: see ngx_chat_ring_commit().
 */


#ifndef _NGX_CHAT_RING_H_INCLUDED_
#define _NGX_CHAT_RING_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef struct {
    uint64_t           size;           /* of data[], a multiple of 16 */
    uint64_t           head;           /* where the next record goes */
    uint64_t           tail;           /* the oldest record that is whole */
    uint64_t           mark;           /* settled */
    uint64_t           mark_next;      /* of the append under way, or done */
    uint64_t           mark_head;      /* the head that makes it valid; 0:
                                          none */
    uint64_t           records;        /* appended so far */
    uint64_t           marks;          /* of these with a mark */
    u_char             data[];
} ngx_chat_ring_sh_t;


/*
 * Makes an empty ring of all the memory given, aligned to 16 bytes; size is
 * in bytes, not less than 1024.
 */
void ngx_chat_ring_init(ngx_chat_ring_sh_t *ring, size_t size);

/* The longest record that reserve() takes: a quarter of the ring. */
size_t ngx_chat_ring_record_max(ngx_chat_ring_sh_t *ring);

/*
 * Starts a record of len bytes: the memory to fill, or NULL where it is too
 * long.  The caller holds the lock until commit().
 */
u_char *ngx_chat_ring_reserve(ngx_chat_ring_sh_t *ring, size_t len);

/*
 * Publishes the record that reserve() started.  mark, where it is not 0,
 * becomes the ring's mark in the same instant.  Returns the position behind
 * the record.
 */
uint64_t ngx_chat_ring_commit(ngx_chat_ring_sh_t *ring, size_t len,
    uint64_t mark);

/* The mark.  The caller holds the lock. */
uint64_t ngx_chat_ring_mark(ngx_chat_ring_sh_t *ring);

/* The position behind the last record, for a new reader. */
uint64_t ngx_chat_ring_head(ngx_chat_ring_sh_t *ring);

/*
 * Copies the record at *pos into buf and moves *pos behind it; *at becomes
 * the record's own position.  NGX_OK with *len set; NGX_DONE: none yet;
 * NGX_AGAIN: buf is too small, *len is what it needs; NGX_DECLINED: overrun,
 * records were lost, *pos is at the head.
 */
ngx_int_t ngx_chat_ring_read(ngx_chat_ring_sh_t *ring, uint64_t *pos,
    uint64_t *at, u_char *buf, size_t size, size_t *len);


#endif /* _NGX_CHAT_RING_H_INCLUDED_ */
