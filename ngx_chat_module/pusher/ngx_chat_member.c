
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Who a client says it is: channel_data and user_data, read.  Pure.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <wire/ngx_chat_json_write.h>
#include <wire/ngx_chat_utf8.h>
#include <pusher/ngx_chat_error.h>
#include <pusher/ngx_chat_event.h>
#include <pusher/ngx_chat_member.h>
#include <pusher/ngx_chat_name.h>


static ngx_int_t ngx_chat_member_parse(ngx_chat_json_t *j, ngx_str_t *text,
    ngx_chat_json_value_t **root);
static ngx_int_t ngx_chat_member_read_id(ngx_chat_member_t *m,
    ngx_chat_json_t *j, ngx_chat_json_value_t *v);
static ngx_uint_t ngx_chat_member_is_integer(ngx_str_t *number);
static ngx_int_t ngx_chat_member_read_info(ngx_chat_member_t *m,
    ngx_chat_json_t *j, ngx_chat_json_value_t *v);
static ngx_int_t ngx_chat_member_read_watchlist(ngx_chat_member_t *m,
    ngx_chat_json_t *j, ngx_chat_json_value_t *v);


ngx_int_t
ngx_chat_member_read_channel_data(ngx_chat_member_t *m, ngx_chat_json_t *j,
    ngx_str_t *text)
{
    ngx_int_t               rc;
    ngx_chat_json_value_t  *root;

    ngx_memzero(m, sizeof(ngx_chat_member_t));

    if (text->data == NULL) {
        j->error = "channel_data is required on a presence channel";
        return NGX_DECLINED;
    }

    rc = ngx_chat_member_parse(j, text, &root);

    if (rc == NGX_DECLINED) {
        j->error = "channel_data is not the text of a JSON object";
    }

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_chat_member_read_id(m, j, ngx_chat_json_given(root, "user_id"))
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    rc = ngx_chat_member_read_info(m, j,
                                   ngx_chat_json_given(root, "user_info"));

    if (rc == NGX_DECLINED) {
        j->error = "user_info supplied to presence subscription is invalid -"
                   " if supplied it must be a type of hash";
    }

    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_chat_member_check_size(m, j);
}


ngx_int_t
ngx_chat_member_read_user_data(ngx_chat_member_t *m, ngx_chat_json_t *j,
    ngx_str_t *text)
{
    ngx_int_t               rc;
    ngx_chat_json_value_t  *root, *id;

    ngx_memzero(m, sizeof(ngx_chat_member_t));

    if (text->data == NULL) {
        j->error = NGX_CHAT_ERROR_SIGNIN_DATA;
        return NGX_DECLINED;
    }

    rc = ngx_chat_member_parse(j, text, &root);

    if (rc == NGX_DECLINED) {
        j->error = "user_data is not the text of a JSON object";
    }

    if (rc != NGX_OK) {
        return rc;
    }

    id = ngx_chat_json_given(root, "id");

    if (id == NULL || id->type != NGX_CHAT_JSON_STRING_e || id->text.len == 0)
    {
        j->error = "id in user_data is missing, empty or not a string";
        return NGX_DECLINED;
    }

    /* "#" begins the names of users' own channels, but no id */

    if (id->text.len > NGX_CHAT_MEMBER_ID_MAX
        || id->text.data[0] == '#'
        || ngx_chat_name_check(&id->text) != NGX_OK)
    {
        j->error = "id in user_data is longer than 128 characters, or has one"
                   " that may not be part of a channel name";
        return NGX_DECLINED;
    }

    m->id = id->text;

    rc = ngx_chat_member_read_info(m, j,
                                   ngx_chat_json_given(root, "user_info"));

    if (rc == NGX_DECLINED) {
        j->error = "user_info in user_data is not an object";
    }

    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_chat_member_read_watchlist(m, j,
                                      ngx_chat_json_given(root, "watchlist"));
}


ngx_int_t
ngx_chat_member_check_size(ngx_chat_member_t *m, ngx_chat_json_t *j)
{
    ngx_chat_json_write_t  w;

    ngx_chat_json_write_init(&w, NULL, 0);
    ngx_chat_json_write_object(&w);

    ngx_chat_json_write_key(&w, "user_id");
    ngx_chat_json_write_string(&w, &m->id);

    if (m->info.len) {
        ngx_chat_json_write_key(&w, "user_info");
        ngx_chat_json_write_json(&w, &m->info);
    }

    ngx_chat_json_write_object_end(&w);

    if (w.len > NGX_CHAT_MEMBER_SIZE_MAX) {
        j->error = "user_id and user_info together are larger than 1024 bytes";
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_member_parse(ngx_chat_json_t *j, ngx_str_t *text,
    ngx_chat_json_value_t **root)
{
    ngx_int_t  rc;

    rc = ngx_chat_json_parse(j, text->data, text->len, root);

    if (rc == NGX_OK && (*root)->type != NGX_CHAT_JSON_OBJECT_e) {
        return NGX_DECLINED;
    }

    return rc;
}


static ngx_int_t
ngx_chat_member_read_id(ngx_chat_member_t *m, ngx_chat_json_t *j,
    ngx_chat_json_value_t *v)
{
    if (v == NULL) {
        j->error = "user_id is missing in channel_data";
        return NGX_DECLINED;
    }

    switch (v->type) {

    case NGX_CHAT_JSON_STRING_e:

        if (v->text.len == 0) {
            j->error = "user_id in channel_data is empty";
            return NGX_DECLINED;
        }

        break;

    case NGX_CHAT_JSON_NUMBER_e:

        if (ngx_chat_member_is_integer(&v->text)) {
            break;
        }

        /* fall through */

    default:
        j->error = "user_id in channel_data is neither a string nor an"
                   " integer";
        return NGX_DECLINED;
    }

    if (!ngx_chat_json_is_exact(j, &v->text)) {
        j->error = "user_id in channel_data has half a surrogate pair";
        return NGX_DECLINED;
    }

    if (ngx_chat_utf8_count(v->text.data, v->text.len)
        > NGX_CHAT_MEMBER_ID_MAX)
    {
        j->error = "user_id in channel_data is longer than 128 characters";
        return NGX_DECLINED;
    }

    m->id = v->text;

    return NGX_OK;
}


/* A valid JSON number is an integer without a fraction and an exponent. */

static ngx_uint_t
ngx_chat_member_is_integer(ngx_str_t *number)
{
    size_t  i;

    for (i = 0; i < number->len; i++) {

        if (number->data[i] != '-'
            && (number->data[i] < '0' || number->data[i] > '9'))
        {
            return 0;
        }
    }

    return 1;
}


static ngx_int_t
ngx_chat_member_read_info(ngx_chat_member_t *m, ngx_chat_json_t *j,
    ngx_chat_json_value_t *v)
{
    if (v == NULL) {
        return NGX_OK;
    }

    if (v->type != NGX_CHAT_JSON_OBJECT_e) {
        return NGX_DECLINED;
    }

    return ngx_chat_event_data_text(j, v, &m->info);
}


static ngx_int_t
ngx_chat_member_read_watchlist(ngx_chat_member_t *m, ngx_chat_json_t *j,
    ngx_chat_json_value_t *v)
{
    ngx_chat_json_value_t  *id;

    if (v == NULL) {
        return NGX_OK;
    }

    if (v->type != NGX_CHAT_JSON_ARRAY_e) {
        j->error = "watchlist in user_data is not an array";
        return NGX_DECLINED;
    }

    for (id = v->first; id; id = id->next) {

        if (id->type != NGX_CHAT_JSON_STRING_e) {
            j->error = "watchlist in user_data holds what is not a string";
            return NGX_DECLINED;
        }
    }

    m->watchlist = v;

    return NGX_OK;
}
