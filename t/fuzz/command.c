
/* sources: pusher/ngx_chat_command.c pusher/ngx_chat_name.c */
/* sources: pusher/ngx_chat_member.c pusher/ngx_chat_event.c */
/* sources: pusher/ngx_chat_error.c */
/* sources: pusher/ngx_chat_app.c pusher/ngx_chat_digest.c */
/* sources: pusher/ngx_chat_signature.c */
/* sources: wire/ngx_chat_json.c wire/ngx_chat_json_write.c */
/* sources: wire/ngx_chat_utf8.c libs: -lyajl -lcrypto */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Clients' messages, and the way they take from there: names, signatures,
 * members and users, client events; each answer is JSON that carries what
 * was sent.
 */


#include "fuzz_json.h"

#include <pusher/ngx_chat_command.h>
#include <pusher/ngx_chat_error.h>
#include <pusher/ngx_chat_event.h>
#include <pusher/ngx_chat_member.h>
#include <pusher/ngx_chat_name.h>
#include <pusher/ngx_chat_signature.h>


static ngx_chat_app_t        app;
static ngx_chat_socket_id_t  id = { 1234, 5678 };


/* The data of an event, a string, is JSON too. */

static ngx_chat_json_value_t *
read_data(unit_pool_t *pool, u_char *text, ssize_t len)
{
    ngx_chat_json_value_t  *v;

    EXPECT(len > 0);

    v = fuzz_json_read(pool, text, len);
    v = fuzz_json_get(v, "data", NGX_CHAT_JSON_STRING_e);

    return fuzz_json_read(pool, v->text.data, v->text.len);
}


static ngx_chat_json_value_t *
render_list(unit_pool_t *pool, ngx_str_t *channel,
    ngx_chat_event_member_t *member)
{
    u_char   *p;
    ssize_t   len;

    len = ngx_chat_event_render_presence_succeeded(NULL, 0, channel, -1, member,
                                                   1);
    EXPECT(len > 0);

    p = unit_alloc(pool, len);

    EXPECT(ngx_chat_event_render_presence_succeeded(p, len, channel, -1, member,
                                                    1) == len);

    return read_data(pool, p, len);
}


static ngx_chat_json_value_t *
render_added(unit_pool_t *pool, ngx_str_t *channel,
    ngx_chat_event_member_t *member)
{
    u_char   *p;
    ssize_t   len;

    len = ngx_chat_event_render_member_added(NULL, 0, channel, &member->id,
                                             &member->info);
    EXPECT(len > 0);

    p = unit_alloc(pool, len);

    EXPECT(ngx_chat_event_render_member_added(p, len, channel, &member->id,
                                              &member->info) == len);

    return read_data(pool, p, len);
}


/* Of {"user_id":S,"user_info":O}. */

static size_t
member_size(unit_pool_t *pool, ngx_chat_member_t *m)
{
    size_t                 len;
    ngx_chat_json_value_t  id;

    memset(&id, 0, sizeof(ngx_chat_json_value_t));

    id.type = NGX_CHAT_JSON_STRING_e;
    id.text = m->id;

    len = sizeof("{\"user_id\":}") - 1 + fuzz_json_text(pool, &id).len;

    return m->info.len ? len + sizeof(",\"user_info\":") - 1 + m->info.len
                       : len;
}


static void
check_member(unit_pool_t *pool, ngx_str_t *channel, ngx_chat_member_t *m)
{
    ngx_chat_json_value_t    *v, *info, *shown;
    ngx_chat_event_member_t   member;

    EXPECT(m->id.len >= 1 && m->id.len <= 4 * NGX_CHAT_MEMBER_ID_MAX);
    EXPECT(fuzz_is_utf8(&m->id));
    EXPECT(member_size(pool, m) <= NGX_CHAT_MEMBER_SIZE_MAX);

    info = NULL;

    if (m->info.len) {
        info = fuzz_json_read(pool, m->info.data, m->info.len);
        EXPECT(info->type == NGX_CHAT_JSON_OBJECT_e);
    }

    member.id = m->id;
    member.info = m->info;

    v = render_added(pool, channel, &member);
    fuzz_json_expect(v, "user_id", &m->id);

    shown = ngx_chat_json_member(v, "user_info");

    if (info) {
        EXPECT(shown != NULL);
        ngx_str_null(&shown->name);
        EXPECT(fuzz_json_same(shown, info));
    }

    v = render_list(pool, channel, &member);
    v = fuzz_json_get(v, "presence", NGX_CHAT_JSON_OBJECT_e);

    shown = fuzz_json_get(v, "ids", NGX_CHAT_JSON_ARRAY_e)->first;
    EXPECT(shown && fuzz_same(&shown->text, &m->id) && !shown->next);

    shown = fuzz_json_get(v, "hash", NGX_CHAT_JSON_OBJECT_e)->first;
    EXPECT(shown && fuzz_same(&shown->name, &m->id) && !shown->next);

    if (info) {
        ngx_str_null(&shown->name);
        EXPECT(fuzz_json_same(shown, info));
    }
}


/* Nobody guesses a signature; the right one is taken, another byte is not. */

static void
check_auth(unit_pool_t *pool, ngx_chat_command_t *cmd)
{
    int         i;
    u_char     *p;
    ngx_str_t   auth;

    EXPECT(ngx_chat_signature_check(&app, &cmd->auth, &id,
                                    &cmd->channel,
                                    &cmd->channel_data)
           != NGX_OK);

    auth.len = NGX_CHAT_SIGNATURE_AUTH_LEN(&app);
    auth.data = unit_alloc(pool, auth.len);

    p = ngx_chat_signature_write(auth.data, &app, &id, &cmd->channel,
                                 &cmd->channel_data);
    EXPECT(p == auth.data + auth.len);
    EXPECT(ngx_chat_signature_check(&app, &auth, &id, &cmd->channel,
                                    &cmd->channel_data)
           == NGX_OK);

    for (i = 1; i <= NGX_CHAT_SIGNATURE_LEN; i += 1 + cmd->channel.len % 63) {
        p[-i] ^= 0x01;
        EXPECT(ngx_chat_signature_check(&app, &auth, &id,
                                        &cmd->channel,
                                        &cmd->channel_data)
               == NGX_ERROR);
        p[-i] ^= 0x01;
    }
}


static void
check_subscribe(unit_pool_t *pool, ngx_chat_command_t *cmd)
{
    ngx_int_t          rc;
    ngx_uint_t         type;
    ngx_chat_json_t    j;
    ngx_chat_member_t  m;

    EXPECT(cmd->channel.data != NULL);
    EXPECT(fuzz_is_utf8(&cmd->auth) && fuzz_is_utf8(&cmd->channel_data));

    if (ngx_chat_name_check(&cmd->channel) != NGX_OK) {
        return;
    }

    type = ngx_chat_name_type(&cmd->channel);

    EXPECT(cmd->channel.len <= NGX_CHAT_CHANNEL_NAME_MAX);
    EXPECT(!(type & (NGX_CHAT_CHANNEL_PRESENCE|NGX_CHAT_CHANNEL_ENCRYPTED))
           || (type & NGX_CHAT_CHANNEL_PRIVATE));

    check_auth(pool, cmd);

    fuzz_json_init(&j, pool);

    rc = ngx_chat_member_read_channel_data(&m, &j, &cmd->channel_data);

    EXPECT(rc == NGX_OK || (rc == NGX_DECLINED && j.error != NULL));

    if (rc == NGX_OK) {
        check_member(pool, &cmd->channel, &m);
    }
}


static void
check_signin(unit_pool_t *pool, ngx_chat_command_t *cmd)
{
    u_char                 *p;
    ssize_t                 len;
    ngx_int_t               rc;
    ngx_chat_json_t         j;
    ngx_chat_member_t       m;
    ngx_chat_json_value_t  *v;

    fuzz_json_init(&j, pool);

    EXPECT(ngx_chat_signature_check(&app, &cmd->auth, &id, NULL,
                                    &cmd->user_data)
           != NGX_OK);

    rc = ngx_chat_member_read_user_data(&m, &j, &cmd->user_data);

    EXPECT(rc == NGX_OK || (rc == NGX_DECLINED && j.error != NULL));

    if (rc != NGX_OK) {
        return;
    }

    EXPECT(m.id.len >= 1 && m.id.len <= NGX_CHAT_MEMBER_ID_MAX);
    EXPECT(ngx_chat_name_check(&m.id) == NGX_OK && m.id.data[0] != '#');

    for (v = m.watchlist ? m.watchlist->first : NULL; v; v = v->next) {
        EXPECT(v->type == NGX_CHAT_JSON_STRING_e);
    }

    len = ngx_chat_event_render_signin_success(NULL, 0, &cmd->user_data);
    EXPECT(len > 0);

    p = unit_alloc(pool, len);
    EXPECT(ngx_chat_event_render_signin_success(p, len, &cmd->user_data)
           == len);

    v = fuzz_json_read(pool, p, len);
    v = fuzz_json_get(v, "data", NGX_CHAT_JSON_OBJECT_e);
    fuzz_json_expect(v, "user_data", &cmd->user_data);
}


static void
check_client_event(unit_pool_t *pool, ngx_chat_command_t *cmd)
{
    u_char                 *p;
    ssize_t                 len;
    ngx_str_t               data, *user;
    ngx_chat_json_t         j;
    ngx_chat_json_value_t  *v;

    EXPECT(cmd->event.len >= 7 && memcmp(cmd->event.data, "client-", 7) == 0);

    if (cmd->data == NULL || cmd->channel.data == NULL) {
        return;
    }

    fuzz_json_init(&j, pool);

    EXPECT(ngx_chat_event_data_text(&j, cmd->data, &data) == NGX_OK);
    EXPECT(fuzz_is_utf8(&data));

    if (cmd->data->type != NGX_CHAT_JSON_STRING_e) {
        v = fuzz_json_read(pool, data.data, data.len);
        v->name = cmd->data->name;
        EXPECT(fuzz_json_same(v, cmd->data));
    }

    user = (data.len & 1) ? &cmd->event : NULL;

    len = ngx_chat_event_render_client_event(NULL, 0, &cmd->event,
                                             &cmd->channel, &data, user);
    EXPECT(len > 0);

    p = unit_alloc(pool, len);
    EXPECT(ngx_chat_event_render_client_event(p, len, &cmd->event,
                                              &cmd->channel, &data, user)
           == len);

    v = fuzz_json_read(pool, p, len);

    fuzz_json_expect(v, "event", &cmd->event);
    fuzz_json_expect(v, "channel", &cmd->channel);
    fuzz_json_expect(v, "data", &data);

    if (user) {
        fuzz_json_expect(v, "user_id", user);
    }
}


/* What a client is told of a message that is refused. */

static void
check_refused(unit_pool_t *pool, const char *format, ngx_str_t *arg,
    size_t size)
{
    u_char                 *p, *buf;
    ssize_t                 len;
    ngx_str_t               text;
    ngx_chat_json_value_t  *v;

    size = size % NGX_CHAT_ERROR_TEXT_MAX + 1;
    buf = unit_alloc(pool, size);

    text.data = buf;
    text.len = ngx_chat_error_format(buf, size, format, arg);

    EXPECT(text.len <= size);
    EXPECT(fuzz_is_utf8(&text));

    len = ngx_chat_event_render_error(NULL, 0, 0, &text);
    EXPECT(len > 0);

    p = unit_alloc(pool, len);
    EXPECT(ngx_chat_event_render_error(p, len, 0, &text) == len);

    v = fuzz_json_read(pool, p, len);
    v = fuzz_json_get(v, "data", NGX_CHAT_JSON_OBJECT_e);
    fuzz_json_expect(v, "message", &text);
}


static void
check_command(unit_pool_t *pool, ngx_chat_command_t *cmd, size_t n)
{
    EXPECT(fuzz_is_utf8(&cmd->event) && fuzz_is_utf8(&cmd->channel));

    switch (cmd->type) {

    case NGX_CHAT_COMMAND_SUBSCRIBE_e:
        check_subscribe(pool, cmd);
        check_refused(pool, NGX_CHAT_ERROR_CHANNEL_NAME, &cmd->channel, n);
        break;

    case NGX_CHAT_COMMAND_UNSUBSCRIBE_e:
        EXPECT(cmd->channel.data != NULL);
        break;

    case NGX_CHAT_COMMAND_SIGNIN_e:
        check_signin(pool, cmd);
        break;

    case NGX_CHAT_COMMAND_CLIENT_EVENT_e:
        check_client_event(pool, cmd);
        break;

    case NGX_CHAT_COMMAND_UNKNOWN_e:
        check_refused(pool, NGX_CHAT_ERROR_UNSUPPORTED, &cmd->event, n);
        break;

    default:
        EXPECT(fuzz_is(&cmd->event, "pusher:ping")
               || fuzz_is(&cmd->event, "pusher:pong"));
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t               n;
    fuzz_t               f;
    ngx_int_t            rc;
    ngx_str_t            text;
    unit_pool_t          pool;
    ngx_chat_json_t      j;
    ngx_chat_command_t   cmd;

    memset(&pool, 0, sizeof(unit_pool_t));
    fuzz_json_init(&j, &pool);

    ngx_str_set(&app.key, "278d425bdf160c739803");
    ngx_str_set(&app.secret, "7ad3773142a6692b25b8");

    f.p = (u_char *) data;
    f.len = size;

    n = fuzz_byte(&f) * 3;
    text = fuzz_take(&f, &pool, f.len);

    rc = ngx_chat_command_read(&cmd, &j, text.data, text.len);

    if (rc == NGX_OK) {
        check_command(&pool, &cmd, n);

    } else {
        EXPECT(rc == NGX_DECLINED && j.error != NULL);

        /* the message may be anything at all here */
        check_refused(&pool, NGX_CHAT_ERROR_MESSAGE, &text, n);
    }

    unit_pool_free(&pool);

    return 0;
}
