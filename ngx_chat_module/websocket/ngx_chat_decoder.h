
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Makes messages of a WebSocket client's bytes: puts fragments together, takes
 * control frames between them, checks UTF-8 and size (RFC 6455, sections 5 and
 * 8).
 */


#ifndef _NGX_CHAT_DECODER_H_INCLUDED_
#define _NGX_CHAT_DECODER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <wire/ngx_chat_frame.h>
#include <wire/ngx_chat_utf8.h>


typedef struct {
    ngx_chat_frame_t         frame;
    ngx_chat_utf8_t          utf8;
    size_t                   limit;        /* of a message */
    u_char                  *message;      /* what has come of one */
    size_t                   len;
    size_t                   size;
    u_char                  *control;      /* of a control frame that comes
                                              in pieces */
    unsigned                 in_payload:1; /* behind a frame's header */
} ngx_chat_decoder_t;


/* What read() finds. */

typedef struct {
    ngx_uint_t               opcode;       /* text, ping, pong or close */
    ngx_str_t                payload;
    ngx_uint_t               code;         /* to close with */
} ngx_chat_decoded_t;


void ngx_chat_decoder_init(ngx_chat_decoder_t *in, size_t limit);

/*
 * Takes bytes, which it may change, up to the next whole message.  NGX_OK:
 * d->opcode and d->payload are set, valid up to the next call; NGX_AGAIN: all
 * bytes are taken; NGX_DECLINED: an offence, d->code is set, read no more;
 * NGX_ERROR: no memory.
 */
ngx_int_t ngx_chat_decoder_read(ngx_chat_decoder_t *in, ngx_chat_decoded_t *d,
    u_char **pos, u_char *last, ngx_log_t *log);

/* Frees what is held. */
void ngx_chat_decoder_clear(ngx_chat_decoder_t *in);


#endif /* _NGX_CHAT_DECODER_H_INCLUDED_ */
