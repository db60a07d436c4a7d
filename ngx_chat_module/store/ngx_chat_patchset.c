
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Patchsets, as SQLite's ext/session/sqlite3session.c describes them:
 *
 *     'P', the number of columns (a varint), for each whether it is of the
 *     primary key, the table's name with its zero; then for each row
 *     an operation, a byte, and values: of INSERT and UPDATE one for each
 *     column (of UPDATE 0 where it stays), of DELETE those of the key.
 *
 *     A value is its type, and 8 bytes, or a length (a varint) and so many.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <store/ngx_chat_patchset.h>


#define NGX_CHAT_PATCHSET_TABLE    'P'
#define NGX_CHAT_PATCHSET_DELETE   9       /* SQLITE_DELETE and so on */
#define NGX_CHAT_PATCHSET_INSERT   18
#define NGX_CHAT_PATCHSET_UPDATE   23

#define NGX_CHAT_PATCHSET_NONE     0       /* types of values */
#define NGX_CHAT_PATCHSET_INTEGER  1
#define NGX_CHAT_PATCHSET_TEXT     3
#define NGX_CHAT_PATCHSET_NULL     5

#define NGX_CHAT_PATCHSET_KEYS     "webhook"   /* begin so, of meta's */


typedef struct {
    const char  *name;
    ngx_uint_t   columns;
    ngx_uint_t   keys;                     /* so many of the first of them */
} ngx_chat_patchset_table_t;


static const ngx_chat_patchset_table_t  ngx_chat_patchset_shapes[] = {
    { "webhook_events", 11, 1 },
    { "webhook_state", 3, 3 },
    { "webhooks", 3, 1 },
    { "meta", 2, 1 },
    { NULL, 0, 0 }
};


static const ngx_chat_patchset_table_t *ngx_chat_patchset_table(u_char **pos,
    u_char *last);
static ngx_int_t ngx_chat_patchset_row(u_char **pos, u_char *last,
    const ngx_chat_patchset_table_t *table);
static ngx_int_t ngx_chat_patchset_value(u_char **pos, u_char *last,
    ngx_uint_t *type, ngx_str_t *text);
static ngx_int_t ngx_chat_patchset_length(u_char **pos, u_char *last,
    size_t *len);


const char *
ngx_chat_patchset_name(ngx_uint_t i)
{
    return ngx_chat_patchset_shapes[i].name;
}


ngx_int_t
ngx_chat_patchset_check(ngx_str_t *patchset)
{
    u_char                           *p, *last;
    const ngx_chat_patchset_table_t  *table;

    p = patchset->data;
    last = p + patchset->len;
    table = NULL;

    if (patchset->len > NGX_MAX_INT32_VALUE) {
        return NGX_DECLINED;
    }

    while (p < last) {

        if (*p == NGX_CHAT_PATCHSET_TABLE) {
            table = ngx_chat_patchset_table(&p, last);

            if (table == NULL) {
                return NGX_DECLINED;
            }

        } else if (table == NULL
                   || ngx_chat_patchset_row(&p, last, table) != NGX_OK)
        {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


/* NULL: it is none of the tables, or has another shape. */

static const ngx_chat_patchset_table_t *
ngx_chat_patchset_table(u_char **pos, u_char *last)
{
    u_char                           *p, *keys;
    size_t                            n;
    ngx_uint_t                        i;
    const ngx_chat_patchset_table_t  *table;

    p = *pos + 1;

    if (ngx_chat_patchset_length(&p, last, &n) != NGX_OK
        || n > (size_t) (last - p))
    {
        return NULL;
    }

    keys = p;
    p += n;

    for (table = ngx_chat_patchset_shapes; table->name; table++) {

        if (ngx_strlen(table->name) < (size_t) (last - p)
            && memcmp(table->name, p, ngx_strlen(table->name) + 1) == 0)
        {
            break;
        }
    }

    if (table->name == NULL || table->columns != n) {
        return NULL;
    }

    for (i = 0; i < n; i++) {
        if ((keys[i] != 0) != (i < table->keys)) {
            return NULL;
        }
    }

    *pos = p + ngx_strlen(table->name) + 1;

    return table;
}


static ngx_int_t
ngx_chat_patchset_row(u_char **pos, u_char *last,
    const ngx_chat_patchset_table_t *table)
{
    u_char      *p;
    ngx_str_t    text;
    ngx_uint_t   i, n, op, type;

    p = *pos;

    if (last - p < 2) {
        return NGX_DECLINED;
    }

    /* the second byte tells whether a trigger has changed it */

    op = p[0];
    p += 2;

    if (op != NGX_CHAT_PATCHSET_INSERT && op != NGX_CHAT_PATCHSET_UPDATE
        && op != NGX_CHAT_PATCHSET_DELETE)
    {
        return NGX_DECLINED;
    }

    n = (op == NGX_CHAT_PATCHSET_DELETE) ? table->keys : table->columns;

    for (i = 0; i < n; i++) {

        if (ngx_chat_patchset_value(&p, last, &type, &text) != NGX_OK) {
            return NGX_DECLINED;
        }

        if (type == NGX_CHAT_PATCHSET_NONE
            && (op != NGX_CHAT_PATCHSET_UPDATE || i < table->keys))
        {
            return NGX_DECLINED;
        }

        if (i == 0 && ngx_strcmp(table->name, "meta") == 0
            && (type != NGX_CHAT_PATCHSET_TEXT
                || text.len < sizeof(NGX_CHAT_PATCHSET_KEYS) - 1
                || memcmp(text.data, NGX_CHAT_PATCHSET_KEYS,
                          sizeof(NGX_CHAT_PATCHSET_KEYS) - 1)
                   != 0))
        {
            return NGX_DECLINED;
        }
    }

    *pos = p;

    return NGX_OK;
}


/* None of the tables has a column of reals or blobs. */

static ngx_int_t
ngx_chat_patchset_value(u_char **pos, u_char *last, ngx_uint_t *type,
    ngx_str_t *text)
{
    u_char  *p;

    p = *pos;

    if (p == last) {
        return NGX_DECLINED;
    }

    *type = *p++;
    ngx_str_null(text);

    switch (*type) {

    case NGX_CHAT_PATCHSET_NONE:
    case NGX_CHAT_PATCHSET_NULL:
        break;

    case NGX_CHAT_PATCHSET_INTEGER:
        text->len = 8;
        break;

    case NGX_CHAT_PATCHSET_TEXT:

        if (ngx_chat_patchset_length(&p, last, &text->len) != NGX_OK) {
            return NGX_DECLINED;
        }

        break;

    default:
        return NGX_DECLINED;
    }

    if (text->len > (size_t) (last - p)) {
        return NGX_DECLINED;
    }

    text->data = p;
    *pos = p + text->len;

    return NGX_OK;
}


/* A varint of SQLite's, of at most 31 bits: 7 in each byte, the highest first,
   and the eighth bit where another byte follows. */

static ngx_int_t
ngx_chat_patchset_length(u_char **pos, u_char *last, size_t *len)
{
    u_char  *p;

    *len = 0;

    for (p = *pos; p < last && p - *pos < 5; /* void */ ) {
        *len = *len << 7 | (*p & 0x7f);

        if ((*p++ & 0x80) == 0) {
            *pos = p;
            return (*len <= NGX_MAX_INT32_VALUE) ? NGX_OK : NGX_DECLINED;
        }
    }

    return NGX_DECLINED;
}
