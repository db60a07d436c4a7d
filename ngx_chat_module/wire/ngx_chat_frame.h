
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * WebSocket frames (RFC 6455, section 5).  Pure.
 *
 * The decoder is fed bytes as they come.  It keeps the frame that is being
 * read and whether a fragmented message is open; payload bytes are unmasked
 * in place and never copied.  The caller checks its size limit after the
 * header, before it allocates anything.
 */


#ifndef _NGX_CHAT_FRAME_H_INCLUDED_
#define _NGX_CHAT_FRAME_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_CHAT_FRAME_CONTINUATION  0x0
#define NGX_CHAT_FRAME_TEXT          0x1
#define NGX_CHAT_FRAME_BINARY        0x2
#define NGX_CHAT_FRAME_CLOSE         0x8
#define NGX_CHAT_FRAME_PING          0x9
#define NGX_CHAT_FRAME_PONG          0xa

#define NGX_CHAT_FRAME_CONTROL_MAX   125
#define NGX_CHAT_FRAME_HEADER_IN     14      /* longest header, masked */
#define NGX_CHAT_FRAME_HEADER_OUT    10      /* longest header, unmasked */


typedef struct {
    uint64_t           length;         /* of the current frame's payload */
    uint64_t           received;       /* payload bytes seen so far */
    u_char             mask[4];
    u_char             header[NGX_CHAT_FRAME_HEADER_IN];
    u_char             opcode;         /* as on the wire */

    unsigned           header_len:4;   /* bytes collected in header[] */
    unsigned           fin:1;
    unsigned           in_message:1;   /* a data message is open */
    unsigned           binary:1;       /* the open message is binary */
} ngx_chat_frame_t;


/* Makes *f ready for the first frame of a connection. */
void ngx_chat_frame_init(ngx_chat_frame_t *f);

/*
 * Reads a frame header from [*pos, last) and moves *pos behind what it took.
 *
 *   NGX_OK     the header is complete: opcode, fin, length, mask are set,
 *              received is 0, *pos is at the payload
 *   NGX_AGAIN  all bytes are taken, more are needed
 *   NGX_ERROR  a protocol error, to be closed with 1002: reserved bit or
 *              opcode, unmasked, a length that is not the shortest form or
 *              has its top bit set, a control frame that is fragmented or
 *              longer than 125, a continuation without a message, a new
 *              message inside another
 */
ngx_int_t ngx_chat_frame_read_header(ngx_chat_frame_t *f, u_char **pos,
    u_char *last);

/*
 * Unmasks in place the bytes of [pos, last) that belong to the current
 * frame's payload and counts them as received.  Returns how many; the frame
 * is complete when received == length.
 */
size_t ngx_chat_frame_read_payload(ngx_chat_frame_t *f, u_char *pos,
    u_char *last);

/*
 * Ends the current frame: the next bytes are a header.  Must be called when
 * received == length (also when length is 0).  After a data frame with fin
 * set, no message is open any more.
 */
void ngx_chat_frame_next(ngx_chat_frame_t *f);

/*
 * Writes the header of an unmasked frame with fin set; at most
 * NGX_CHAT_FRAME_HEADER_OUT bytes.  Returns the end.
 */
u_char *ngx_chat_frame_write_header(u_char *p, ngx_uint_t opcode, size_t len);

/* The number of bytes ngx_chat_frame_write_header() writes. */
size_t ngx_chat_frame_header_size(size_t len);

/*
 * Checks a close frame's payload (section 7.4): NGX_OK with *code set (1005
 * for an empty payload); NGX_ERROR with *code set to what to answer instead,
 * 1002 or, for a reason that is not UTF-8, 1007.
 */
ngx_int_t ngx_chat_frame_read_close(u_char *payload, size_t len,
    ngx_uint_t *code);


#endif /* _NGX_CHAT_FRAME_H_INCLUDED_ */
