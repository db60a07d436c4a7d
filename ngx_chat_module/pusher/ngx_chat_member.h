
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Who a client says it is: channel_data of a presence subscription and
 * user_data of a sign-in (Pusher protocol, sections 3.4 and 5.1).  Pure.
 *
 * The caller must have checked the signature.
 */


#ifndef _NGX_CHAT_MEMBER_H_INCLUDED_
#define _NGX_CHAT_MEMBER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <wire/ngx_chat_json.h>


#define NGX_CHAT_MEMBER_ID_MAX    128  /* characters */
#define NGX_CHAT_MEMBER_SIZE_MAX  1024 /* bytes, of the JSON text
                                          {"user_id":S,"user_info":O}; so
                                          id.len + info.len is less */


/* All memory is from j->alloc(). */
typedef struct {
    ngx_str_t               id;        /* of a number its decimal text */
    ngx_str_t               info;      /* compact JSON text of user_info, an
                                          object; len 0: none */
    ngx_chat_json_value_t  *watchlist; /* array of strings, of any length;
                                          NULL: none */
} ngx_chat_member_t;


/*
 * Both: NGX_OK; NGX_DECLINED with j->error set to a sentence for the client;
 * NGX_ERROR where j->alloc() failed.  text->data == NULL where it was not
 * given.  Members that are null are taken as not given; others than those
 * named here are ignored.
 */

/* user_id: a string of 1..128 characters, or an integer. */
ngx_int_t ngx_chat_member_read_channel_data(ngx_chat_member_t *m,
    ngx_chat_json_t *j, ngx_str_t *text);

/*
 * id: a string of 1..128 characters of those in channel names.  The size of
 * user_info is not limited: see check_size().
 */
ngx_int_t ngx_chat_member_read_user_data(ngx_chat_member_t *m,
    ngx_chat_json_t *j, ngx_str_t *text);

/*
 * NGX_DECLINED with j->error set where the member is too large for a presence
 * channel.  read_channel_data() checks this; the caller must check it for a
 * signed-in user that subscribes without channel_data.
 */
ngx_int_t ngx_chat_member_check_size(ngx_chat_member_t *m,
    ngx_chat_json_t *j);


#endif /* _NGX_CHAT_MEMBER_H_INCLUDED_ */
