
/* sources: wire/ngx_chat_hook_record.c */

/*
 * Copyright (C) the ngx_chat_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <unit.h>
#include <wire/ngx_chat_hook_record.h>


static void
make(ngx_chat_hook_record_t *rec)
{
    memset(rec, 0, sizeof(ngx_chat_hook_record_t));

    rec->kind = NGX_CHAT_HOOK_CLIENT_EVENT_e;
    rec->app = 17536051;
    rec->at = 12345;
    rec->time = 1700000000000;
    rec->number = 7;

    ngx_str_set(&rec->channel, "presence-room");
    ngx_str_set(&rec->user, "ann");
    ngx_str_set(&rec->socket_id, "10.20");
    ngx_str_set(&rec->event, "client-typing");
    ngx_str_set(&rec->data, "{\"on\":true}");
}


static void
test_round_trip(void)
{
    u_char                   buf[512];
    size_t                   len;
    ngx_chat_hook_record_t   rec, got;

    make(&rec);

    len = ngx_chat_hook_record_pack(buf, &rec) - buf;

    CHECK_INT(len, ngx_chat_hook_record_size(&rec));
    CHECK_INT(ngx_chat_hook_record_unpack(&got, buf, len), NGX_OK);

    CHECK_INT(got.kind, NGX_CHAT_HOOK_CLIENT_EVENT_e);
    CHECK_INT(got.app, 17536051);
    CHECK_INT(got.at, 12345);
    CHECK_INT(got.time, 1700000000000);
    CHECK_INT(got.number, 7);
    CHECK_STR(got.channel, "presence-room");
    CHECK_STR(got.user, "ann");
    CHECK_STR(got.socket_id, "10.20");
    CHECK_STR(got.event, "client-typing");
    CHECK_STR(got.data, "{\"on\":true}");
}


static void
test_empty(void)
{
    u_char                   buf[512];
    size_t                   len;
    ngx_chat_hook_record_t   rec, got;

    memset(&rec, 0, sizeof(ngx_chat_hook_record_t));

    len = ngx_chat_hook_record_pack(buf, &rec) - buf;

    CHECK_INT(ngx_chat_hook_record_unpack(&got, buf, len), NGX_OK);
    CHECK_INT(got.channel.len + got.user.len + got.data.len, 0);
}


/* What is cut, longer, or of an unknown kind, is refused. */

static void
test_broken(void)
{
    u_char                   buf[512], *p;
    size_t                   i, len;
    ngx_chat_hook_record_t   rec, got;

    make(&rec);

    len = ngx_chat_hook_record_pack(buf, &rec) - buf;

    for (i = 0; i < len; i++) {
        p = malloc(i + 1);
        memcpy(p, buf, i);

        CHECK_INT(ngx_chat_hook_record_unpack(&got, p, i), NGX_ERROR);

        free(p);
    }

    CHECK_INT(ngx_chat_hook_record_unpack(&got, buf, len + 1), NGX_ERROR);

    rec.kind = NGX_CHAT_HOOK_KINDS_e;
    (void) ngx_chat_hook_record_pack(buf, &rec);

    CHECK_INT(ngx_chat_hook_record_unpack(&got, buf, len), NGX_ERROR);
}


int
main(void)
{
    RUN(test_round_trip);
    RUN(test_empty);
    RUN(test_broken);

    return unit_done();
}
