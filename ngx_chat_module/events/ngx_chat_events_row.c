
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A stored message as the event that it was.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <events/ngx_chat_events_row.h>
#include <wire/ngx_chat_message.h>


ssize_t
ngx_chat_events_row_render(ngx_chat_record_t *rec, u_char *buf, size_t size)
{
    u_char                 *p;
    ssize_t                 len;
    ngx_chat_message_t      m;
    ngx_chat_events_row_t   row;

    len = rec->content.len;

    if (rec->kind != NGX_CHAT_MESSAGE_EVENT_e) {
        ngx_chat_record_message(rec, &m);
        len = ngx_chat_message_render(&m, NULL, 0);
    }

    if (len == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (buf != NULL) {
        row.id = rec->id;
        row.event = rec->event.len;
        row.data = len;

        p = ngx_cpymem(buf, &row, sizeof(row));
        p = ngx_cpymem(p, rec->event.data, rec->event.len);

        if (rec->kind != NGX_CHAT_MESSAGE_EVENT_e) {
            (void) ngx_chat_message_render(&m, p, len);

        } else {
            ngx_memcpy(p, rec->content.data, len);
        }
    }

    return sizeof(row) + rec->event.len + len;
}
