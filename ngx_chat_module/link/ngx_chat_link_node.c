
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Terms and nodes.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <link/ngx_chat_link.h>
#include <link/ngx_chat_link_script.h>
#include <link/ngx_chat_log_item.h>
#include <wire/ngx_chat_clock.h>


#define NGX_CHAT_LINK_BYE       1000       /* ms to connect for it */
#define NGX_CHAT_LINK_LACKS     "60000"    /* ms that it is kept while no
                                              node asks */


static void ngx_chat_link_hello_nodes(ngx_chat_link_sh_t *sh,
    ngx_chat_engine_reply_t *reply);


ngx_int_t
ngx_chat_link_term(ngx_chat_link_t *l, ngx_chat_link_meta_t *meta,
    ngx_chat_link_place_t *place, ngx_chat_link_books_t *books)
{
    u_char      known[NGX_CHAT_LINK_NUMBER];
    u_char      seen[NGX_CHAT_LINK_NUMBER];
    u_char      last[NGX_CHAT_LINK_NUMBER];
    u_char      nonce[NGX_CHAT_LINK_NUMBER];
    u_char      from[NGX_CHAT_LINK_NUMBER];
    u_char      item[NGX_CHAT_LINK_BOOKS];
    ngx_str_t  *w, words[NGX_CHAT_LINK_SCRIPT_WORDS + 10];

    w = words + NGX_CHAT_LINK_SCRIPT_WORDS;

    w[0] = l->conf->meta;
    w[1] = l->conf->log;
    ngx_chat_link_number(&w[2], known, meta->term ? "%uL" : "", meta->term);
    ngx_chat_link_number(&w[3], last, "%uL", place->seq);
    w[4].data = meta->epoch;
    w[4].len = NGX_CHAT_LINK_EPOCH;
    ngx_chat_link_number(&w[5], nonce, "%016xL", ngx_chat_link_random());
    w[6].data = meta->id;
    w[6].len = NGX_CHAT_LINK_EPOCH;
    ngx_chat_link_number(&w[7], seen, "%uL", place->term);
    ngx_chat_link_number(&w[8], from, "%016xL", place->nonce);
    ngx_chat_link_books(&w[9], item, books);

    return ngx_chat_link_script_run(&l->engine, NGX_CHAT_LINK_TERM_e, words, 2,
                                    NGX_CHAT_LINK_SCRIPT_WORDS + 10,
                                    NGX_CHAT_LINK_CALL, NULL);
}


ngx_int_t
ngx_chat_link_offered(ngx_chat_link_t *l, uint64_t term)
{
    u_char      number[NGX_CHAT_LINK_NUMBER];
    ngx_str_t  *w, words[NGX_CHAT_LINK_SCRIPT_WORDS + 2];

    w = words + NGX_CHAT_LINK_SCRIPT_WORDS;

    w[0] = l->conf->meta;
    ngx_chat_link_number(&w[1], number, "%uL", term);

    return ngx_chat_link_script_run(&l->engine, NGX_CHAT_LINK_OFFERED_e, words,
                                    1, NGX_CHAT_LINK_SCRIPT_WORDS + 2,
                                    NGX_CHAT_LINK_CALL, NULL);
}


ngx_int_t
ngx_chat_link_hello(ngx_chat_link_t *l, uint64_t term, uint64_t incarnation,
    ngx_uint_t fresh, uint64_t *expired)
{
    u_char                    number[NGX_CHAT_LINK_NUMBER];
    u_char                    lease[NGX_CHAT_LINK_NUMBER];
    u_char                    name[NGX_CHAT_LINK_NUMBER];
    ngx_int_t                 rc;
    ngx_str_t                *w, words[NGX_CHAT_LINK_SCRIPT_WORDS + 7], text;
    ngx_chat_engine_reply_t  *reply;

    w = words + NGX_CHAT_LINK_SCRIPT_WORDS;

    w[0] = l->conf->meta;
    w[1] = l->conf->nodes;
    ngx_chat_link_number(&w[2], number, "%uL", term);
    ngx_chat_link_number(&w[3], name, "%016xL", incarnation);
    w[4] = l->conf->name;
    ngx_chat_link_number(&w[5], lease, "%uL", l->conf->lease);

    if (fresh) {
        ngx_str_set(&w[6], "1");

    } else {
        ngx_str_set(&w[6], "0");
    }

    rc = ngx_chat_link_script_run(&l->engine, NGX_CHAT_LINK_HELLO_e, words, 2,
                                  NGX_CHAT_LINK_SCRIPT_WORDS + 7,
                                  NGX_CHAT_LINK_CALL, &reply);
    *expired = 0;

    if (rc == NGX_OK) {
        text = ngx_chat_engine_text(ngx_chat_engine_item(reply, 1));

        if (text.len && ngx_chat_link_incarnation(&text, expired) != NGX_OK) {
            *expired = 0;
        }

        ngx_chat_link_hello_nodes(l->conf->sh, reply);
        ngx_chat_engine_free(reply);
    }

    return rc;
}


/* "MS NAME" is behind each incarnation.  What is none is not shown. */

static void
ngx_chat_link_hello_nodes(ngx_chat_link_sh_t *sh,
    ngx_chat_engine_reply_t *reply)
{
    u_char                *name;
    uint64_t               now, left;
    ngx_str_t              text;
    ngx_uint_t             i, n;
    ngx_chat_link_node_t   node;

    now = ngx_chat_clock_msec();
    text = ngx_chat_engine_text(ngx_chat_engine_item(reply, 2));

    ngx_chat_link_set(&sh->last, strtoull(text.len ? (char *) text.data : "0",
                                          NULL, 10));

    n = 0;

    for (i = 3; n < NGX_CHAT_LINK_NODES; i += 2) {
        text = ngx_chat_engine_text(ngx_chat_engine_item(reply, i));

        if (text.len == 0) {
            break;
        }

        ngx_memzero(&node, sizeof(ngx_chat_link_node_t));

        if (ngx_chat_link_incarnation(&text, &node.incarnation) != NGX_OK) {
            continue;
        }

        text = ngx_chat_engine_text(ngx_chat_engine_item(reply, i + 1));

        if (text.len == 0) {
            continue;
        }

        left = strtoull((char *) text.data, (char **) &name, 10);
        name += (*name == ' ');

        node.until = now + ngx_min(left, 24 * 3600 * 1000);
        node.len = ngx_min((size_t) (text.data + text.len - name),
                           NGX_CHAT_LINK_NAMED);
        ngx_memcpy(node.name, name, node.len);

        ngx_chat_link_sh_set_node(sh, n++, &node);
    }

    ngx_memzero(&node, sizeof(ngx_chat_link_node_t));

    while (n < NGX_CHAT_LINK_NODES) {
        ngx_chat_link_sh_set_node(sh, n++, &node);
    }
}


ngx_int_t
ngx_chat_link_gone(ngx_chat_link_t *l, uint64_t term, uint64_t incarnation,
    ngx_uint_t force)
{
    u_char                number[NGX_CHAT_LINK_NUMBER];
    u_char                name[NGX_CHAT_LINK_NUMBER];
    u_char                nonce[NGX_CHAT_LINK_NUMBER];
    u_char                batches[NGX_CHAT_LINK_NODE_KEY];
    u_char                census[NGX_CHAT_LINK_NODE_KEY];
    u_char                bytes[NGX_CHAT_LOG_ITEM_HEADER
                                + NGX_CHAT_LINK_NUMBER];
    ngx_str_t            *w, words[NGX_CHAT_LINK_SCRIPT_WORDS + 12];
    ngx_chat_log_item_t   item;

    w = words + NGX_CHAT_LINK_SCRIPT_WORDS;

    w[0] = l->conf->meta;
    w[1] = l->conf->log;
    w[2] = l->conf->nodes;
    ngx_chat_link_name(&w[3], batches, l->conf, "w", incarnation);
    ngx_chat_link_name(&w[4], census, l->conf, "s", incarnation);
    w[5] = l->conf->herald;
    w[6] = l->conf->fills;
    ngx_chat_link_number(&w[7], number, "%uL", term);
    ngx_chat_link_number(&w[8], name, "%016xL", incarnation);
    ngx_chat_link_number(&w[9], nonce, "%016xL", ngx_chat_link_random());

    w[10].data = (u_char *) (force ? "1" : "0");
    w[10].len = 1;

    ngx_memzero(&item, sizeof(ngx_chat_log_item_t));

    item.kind = NGX_CHAT_MESSAGE_GONE_e;
    item.channel = w[8];

    w[11].data = bytes;
    w[11].len = ngx_chat_log_item_pack(bytes, &item) - bytes;

    return ngx_chat_link_script_run(&l->engine, NGX_CHAT_LINK_GONE_e, words, 7,
                                    NGX_CHAT_LINK_SCRIPT_WORDS + 12,
                                    NGX_CHAT_LINK_CALL, NULL);
}


ngx_int_t
ngx_chat_link_herald(ngx_chat_link_t *l, uint64_t term, uint64_t incarnation,
    ngx_uint_t adopt, ngx_chat_link_books_t *books,
    ngx_chat_link_herald_e *herald)
{
    u_char                    number[NGX_CHAT_LINK_NUMBER];
    u_char                    name[NGX_CHAT_LINK_NUMBER];
    u_char                    lease[NGX_CHAT_LINK_NUMBER];
    u_char                    last[NGX_CHAT_LINK_BOOKS], *p;
    ngx_int_t                 rc;
    ngx_str_t                *w, words[NGX_CHAT_LINK_SCRIPT_WORDS + 8], text;
    ngx_chat_engine_reply_t  *reply;

    rc = ngx_chat_engine_connect(&l->engine, NGX_CHAT_LINK_CALL);
    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    w = words + NGX_CHAT_LINK_SCRIPT_WORDS;

    w[0] = l->conf->meta;
    w[1] = l->conf->herald;
    w[2] = l->conf->lacks;
    ngx_chat_link_number(&w[3], number, "%uL", term);
    ngx_chat_link_number(&w[4], name, "%016xL", incarnation);
    ngx_chat_link_number(&w[5], lease, "%uL", l->conf->lease);
    w[6].data = (u_char *) (adopt ? "1" : "0");
    w[6].len = 1;
    ngx_chat_link_books(&w[7], last, books);

    rc = ngx_chat_link_script_run(&l->engine, NGX_CHAT_LINK_HERALD_e, words, 3,
                                  NGX_CHAT_LINK_SCRIPT_WORDS + 8,
                                  NGX_CHAT_LINK_CALL, &reply);
    if (rc != NGX_OK) {
        return rc;
    }

    text = ngx_chat_engine_text(ngx_chat_engine_item(reply, 1));

    *herald = (text.len == 0) ? NGX_CHAT_LINK_HERALD_NOBODY_e
              : (text.data[0] == '1') ? NGX_CHAT_LINK_HERALD_SELF_e
              : (text.data[0] == '2') ? NGX_CHAT_LINK_HERALD_TAKEN_e
              : NGX_CHAT_LINK_HERALD_OTHER_e;

    text = ngx_chat_engine_text(ngx_chat_engine_item(reply, 2));
    p = (u_char *) (text.len ? (char *) text.data : "0");
    books->term = strtoull((char *) p, (char **) &p, 10);
    books->seq = (*p == ':') ? strtoull((char *) p + 1, NULL, 10) : 0;

    text = ngx_chat_engine_text(ngx_chat_engine_item(reply, 3));
    books->row = strtoull(text.len ? (char *) text.data : "0", NULL, 10);

    text = ngx_chat_engine_text(ngx_chat_engine_item(reply, 4));
    books->lacks = (text.len != 0);

    ngx_chat_engine_free(reply);

    return NGX_OK;
}


ngx_int_t
ngx_chat_link_lacks(ngx_chat_link_t *l)
{
    ngx_int_t                 rc;
    ngx_str_t                 words[5];
    ngx_chat_engine_reply_t  *reply;

    ngx_str_set(&words[0], "SET");
    words[1] = l->conf->lacks;
    ngx_str_set(&words[2], "1");
    ngx_str_set(&words[3], "PX");
    ngx_str_set(&words[4], NGX_CHAT_LINK_LACKS);

    rc = ngx_chat_engine_call(&l->engine, words, 5, NGX_CHAT_LINK_CALL,
                              &reply);
    if (rc == NGX_OK) {
        ngx_chat_engine_free(reply);
    }

    return rc;
}


void
ngx_chat_link_bye(ngx_chat_link_conf_t *conf)
{
    uint64_t         term, incarnation;
    ngx_chat_link_t  l;

    term = ngx_chat_link_get(&conf->sh->term);
    incarnation = ngx_chat_link_get(&conf->sh->incarnation);

    if (term == 0 || incarnation == 0) {
        return;
    }

    ngx_memzero(&l, sizeof(ngx_chat_link_t));
    ngx_chat_link_init(&l, conf);

    if (ngx_chat_engine_connect(&l.engine, NGX_CHAT_LINK_BYE) == NGX_OK) {
        (void) ngx_chat_link_gone(&l, term, incarnation, 1);
    }

    ngx_chat_link_close(&l);
}


/* INFO, as CONFIG is not for users with few rights. */

ngx_int_t
ngx_chat_link_evicts(ngx_chat_link_t *l)
{
    ngx_int_t                 rc;
    ngx_str_t                 words[2], text;
    ngx_chat_engine_reply_t  *reply;

    ngx_str_set(&words[0], "INFO");
    ngx_str_set(&words[1], "memory");

    rc = ngx_chat_engine_call(&l->engine, words, 2, NGX_CHAT_LINK_CALL,
                              &reply);
    if (rc != NGX_OK) {
        return (rc == NGX_DECLINED) ? NGX_DECLINED : NGX_ERROR;
    }

    /* hiredis puts a zero behind each string */

    text = ngx_chat_engine_text(reply);

    rc = (text.len
          && strstr((char *) text.data, "\nmaxmemory:") != NULL
          && strstr((char *) text.data, "\nmaxmemory:0\r") == NULL
          && strstr((char *) text.data, "\nmaxmemory_policy:noeviction\r")
             == NULL)
         ? NGX_OK : NGX_DECLINED;

    ngx_chat_engine_free(reply);

    return rc;
}


ngx_int_t
ngx_chat_link_nodes(ngx_chat_link_t *l, ngx_chat_engine_reply_t **reply)
{
    ngx_str_t  words[2];

    ngx_str_set(&words[0], "HGETALL");
    words[1] = l->conf->nodes;

    return ngx_chat_engine_call(&l->engine, words, 2, NGX_CHAT_LINK_CALL,
                                reply);
}


ngx_int_t
ngx_chat_link_census(ngx_chat_link_t *l, uint64_t incarnation,
    ngx_chat_engine_reply_t **reply)
{
    u_char     census[NGX_CHAT_LINK_NODE_KEY];
    ngx_str_t  words[2];

    ngx_str_set(&words[0], "HGETALL");
    ngx_chat_link_name(&words[1], census, l->conf, "s", incarnation);

    return ngx_chat_engine_call(&l->engine, words, 2, NGX_CHAT_LINK_CALL,
                                reply);
}
