
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * JSON reader over yajl's parser.  Pure.
 *
 * yajl accepts some texts that are wrong: bytes that are not UTF-8, control
 * characters as white space, a string that begins after the value and has no
 * end.  So the text is scanned for these first.
 *
 * A lone surrogate escape is half a character, such as JSON.stringify() makes
 * of a string that was cut within an emoji.  yajl would turn it into "?".  It
 * becomes U+FFFD, as a browser has it wherever text becomes bytes.  The escape
 * of U+FFFD is as long, so it is put into a copy of the text.
 *
 * yajl does not test what its allocator returns, so a failed allocation leaves
 * yajl by longjmp().  All memory comes from the caller's pool, and nothing
 * needs to be freed.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <yajl/yajl_parse.h>

#include <wire/ngx_chat_json.h>
#include <wire/ngx_chat_utf8.h>


/* Before a block stands its length, which yajl's realloc() does not pass. */
#define NGX_CHAT_JSON_BLOCK  (2 * sizeof(uint64_t))

/* The values that longjmp() passes. */
#define NGX_CHAT_JSON_NO_MEMORY  1
#define NGX_CHAT_JSON_TOO_MANY   2


typedef struct {
    ngx_chat_json_t        *json;
    ngx_chat_json_value_t  *root;
    ngx_chat_json_value_t  *open[NGX_CHAT_JSON_DEPTH];
    ngx_chat_json_value_t  *last[NGX_CHAT_JSON_DEPTH];
    ngx_uint_t              depth;     /* of open[] and last[] */
    ngx_str_t               name;      /* of the member to come */
    ngx_uint_t              values;    /* made so far */
    ngx_uint_t              deep;      /* unsigned  deep:1 */
    jmp_buf                 failed;
} ngx_chat_json_parser_t;


static ngx_int_t ngx_chat_json_run(ngx_chat_json_t *j, u_char *text,
    size_t len, ngx_chat_json_value_t **value);
static const char *ngx_chat_json_scan(u_char *p, size_t len,
    ngx_uint_t *nlone);
static u_char *ngx_chat_json_mend(ngx_chat_json_t *j, u_char *text,
    size_t len);
static ngx_int_t ngx_chat_json_scan_escape(u_char **pos, u_char *last);
static ngx_int_t ngx_chat_json_scan_hex(u_char *p, u_char *last,
    ngx_uint_t *code);
static void *ngx_chat_json_alloc(void *ctx, size_t size);
static void *ngx_chat_json_realloc(void *ctx, void *old, size_t size);
static void ngx_chat_json_free(void *ctx, void *p);
static ngx_chat_json_value_t *ngx_chat_json_add(ngx_chat_json_parser_t *ps,
    ngx_chat_json_type_e type, const void *text, size_t len);
static int ngx_chat_json_open(ngx_chat_json_parser_t *ps,
    ngx_chat_json_type_e type);
static int ngx_chat_json_on_null(void *ctx);
static int ngx_chat_json_on_boolean(void *ctx, int flag);
static int ngx_chat_json_on_number(void *ctx, const char *text, size_t len);
static int ngx_chat_json_on_string(void *ctx, const u_char *text, size_t len);
static int ngx_chat_json_on_object(void *ctx);
static int ngx_chat_json_on_name(void *ctx, const u_char *text, size_t len);
static int ngx_chat_json_on_array(void *ctx);
static int ngx_chat_json_on_end(void *ctx);


static const yajl_callbacks  ngx_chat_json_callbacks = {
    ngx_chat_json_on_null,
    ngx_chat_json_on_boolean,
    NULL,                              /* integer: as number */
    NULL,                              /* double: as number */
    ngx_chat_json_on_number,
    ngx_chat_json_on_string,
    ngx_chat_json_on_object,
    ngx_chat_json_on_name,
    ngx_chat_json_on_end,
    ngx_chat_json_on_array,
    ngx_chat_json_on_end
};


ngx_int_t
ngx_chat_json_parse(ngx_chat_json_t *j, u_char *text, size_t len,
    ngx_chat_json_value_t **value)
{
    j->error = ngx_chat_json_scan(text, len, &j->nlone);

    if (j->error != NULL) {
        return NGX_DECLINED;
    }

    if (j->nlone) {
        text = ngx_chat_json_mend(j, text, len);
        if (text == NULL) {
            return NGX_ERROR;
        }
    }

    return ngx_chat_json_run(j, text, len, value);
}


/* Parses a text that was scanned. */

static ngx_int_t
ngx_chat_json_run(ngx_chat_json_t *j, u_char *text, size_t len,
    ngx_chat_json_value_t **value)
{
    yajl_handle             yajl;
    yajl_status             status;
    yajl_alloc_funcs        funcs;
    ngx_chat_json_parser_t  ps;

    ps.json = j;
    ps.root = NULL;
    ps.depth = 0;
    ps.deep = 0;
    ps.values = 0;
    ngx_str_null(&ps.name);

    funcs.malloc = ngx_chat_json_alloc;
    funcs.realloc = ngx_chat_json_realloc;
    funcs.free = ngx_chat_json_free;
    funcs.ctx = &ps;

    switch (setjmp(ps.failed)) {

    case 0:
        break;

    case NGX_CHAT_JSON_TOO_MANY:
        j->error = "JSON has too many values";
        return NGX_DECLINED;

    default:
        return NGX_ERROR;
    }

    yajl = yajl_alloc(&ngx_chat_json_callbacks, &funcs, &ps);
    if (yajl == NULL) {
        return NGX_ERROR;
    }

    status = yajl_parse(yajl, text, len);

    if (status == yajl_status_ok) {
        status = yajl_complete_parse(yajl);
    }

    if (status != yajl_status_ok || ps.root == NULL) {
        j->error = ps.deep ? "JSON is nested too deeply" : "invalid JSON";
        return NGX_DECLINED;
    }

    *value = ps.root;

    return NGX_OK;
}


ngx_chat_json_value_t *
ngx_chat_json_member(ngx_chat_json_value_t *v, const char *name)
{
    size_t                  len;
    ngx_chat_json_value_t  *m, *found;

    if (v == NULL || v->type != NGX_CHAT_JSON_OBJECT_e) {
        return NULL;
    }

    len = ngx_strlen(name);
    found = NULL;

    for (m = v->first; m; m = m->next) {

        if (m->name.len == len && ngx_memcmp(m->name.data, name, len) == 0) {
            found = m;
        }
    }

    return found;
}


ngx_chat_json_value_t *
ngx_chat_json_given(ngx_chat_json_value_t *v, const char *name)
{
    ngx_chat_json_value_t  *m;

    m = ngx_chat_json_member(v, name);

    return (m && m->type != NGX_CHAT_JSON_NULL_e) ? m : NULL;
}


ngx_int_t
ngx_chat_json_string(ngx_chat_json_value_t *v, const char *name,
    ngx_str_t *text)
{
    ngx_chat_json_value_t  *m;

    ngx_str_null(text);

    m = ngx_chat_json_given(v, name);

    if (m == NULL) {
        return NGX_OK;
    }

    if (m->type != NGX_CHAT_JSON_STRING_e) {
        return NGX_DECLINED;
    }

    *text = m->text;

    return NGX_OK;
}


ngx_uint_t
ngx_chat_json_is_exact(ngx_chat_json_t *j, ngx_str_t *text)
{
    return j->nlone == 0
           || memmem(text->data, text->len, "\xef\xbf\xbd", 3) == NULL;
}


/*
 * Every backslash is taken for an escape: yajl finds those outside of strings.
 * yajl does not find a string that begins after the value and has no end.
 */

static const char *
ngx_chat_json_scan(u_char *p, size_t len, ngx_uint_t *nlone)
{
    u_char      *last;
    ngx_uint_t   string;

    *nlone = 0;

    if (len == 0) {
        return "empty JSON text";
    }

    if (ngx_chat_utf8_check(p, len) != NGX_OK) {
        return "JSON text is not valid UTF-8";
    }

    last = p + len;
    string = 0;

    while (p < last) {

        if (*p == '\\') {
            *nlone += (ngx_chat_json_scan_escape(&p, last) != NGX_OK);
            continue;
        }

        if (*p < 0x20 && *p != '\t' && *p != '\n' && *p != '\r') {
            return "control character in JSON text";
        }

        string ^= (*p == '"');
        p++;
    }

    return string ? "unterminated JSON string" : NULL;
}


/* A copy of the text in which each lone surrogate escape is "\ufffd". */

static u_char *
ngx_chat_json_mend(ngx_chat_json_t *j, u_char *text, size_t len)
{
    u_char  *p, *escape, *last;

    p = j->alloc(j->ctx, len);
    if (p == NULL) {
        return NULL;
    }

    ngx_memcpy(p, text, len);

    text = p;
    last = p + len;

    while (p < last) {

        if (*p != '\\') {
            p++;
            continue;
        }

        escape = p;

        if (ngx_chat_json_scan_escape(&p, last) != NGX_OK) {
            ngx_memcpy(escape, "\\ufffd", 6);
        }
    }

    return text;
}


/*
 * Moves *pos from the start of an escape to its end; a surrogate pair is one
 * escape.  NGX_ERROR: the escape is a lone surrogate.  Invalid escapes are
 * left to yajl.
 */

static ngx_int_t
ngx_chat_json_scan_escape(u_char **pos, u_char *last)
{
    u_char      *p;
    ngx_uint_t   code, low;

    p = *pos;
    *pos = (last - p < 2) ? last : p + 2;

    if (ngx_chat_json_scan_hex(p, last, &code) != NGX_OK
        || code < 0xd800 || code > 0xdfff)
    {
        return NGX_OK;
    }

    *pos = p + 6;

    if (code > 0xdbff
        || ngx_chat_json_scan_hex(p + 6, last, &low) != NGX_OK
        || low < 0xdc00 || low > 0xdfff)
    {
        return NGX_ERROR;
    }

    *pos = p + 12;

    return NGX_OK;
}


/* The code of the escape at p: "\u" and four hexadecimal digits. */

static ngx_int_t
ngx_chat_json_scan_hex(u_char *p, u_char *last, ngx_uint_t *code)
{
    u_char      ch;
    ngx_uint_t  i;

    if (last - p < 6 || p[0] != '\\' || p[1] != 'u') {
        return NGX_DECLINED;
    }

    *code = 0;

    for (i = 2; i < 6; i++) {
        ch = p[i];

        if (ch >= '0' && ch <= '9') {
            *code = *code * 16 + (ch - '0');
            continue;
        }

        ch |= 0x20;

        if (ch < 'a' || ch > 'f') {
            return NGX_DECLINED;
        }

        *code = *code * 16 + (ch - 'a' + 10);
    }

    return NGX_OK;
}


/* Does not return when out of memory. */

static void *
ngx_chat_json_alloc(void *ctx, size_t size)
{
    ngx_chat_json_parser_t *ps = ctx;

    u_char    *p;
    uint64_t   len;

    p = ps->json->alloc(ps->json->ctx, NGX_CHAT_JSON_BLOCK + size);

    if (p == NULL) {
        longjmp(ps->failed, NGX_CHAT_JSON_NO_MEMORY);
    }

    len = size;
    ngx_memcpy(p, &len, sizeof(uint64_t));

    return p + NGX_CHAT_JSON_BLOCK;
}


static void *
ngx_chat_json_realloc(void *ctx, void *old, size_t size)
{
    void      *p;
    uint64_t   len;

    if (old == NULL) {
        return ngx_chat_json_alloc(ctx, size);
    }

    ngx_memcpy(&len, (u_char *) old - NGX_CHAT_JSON_BLOCK, sizeof(uint64_t));

    if (size <= len) {
        return old;
    }

    p = ngx_chat_json_alloc(ctx, size);
    ngx_memcpy(p, old, (size_t) len);

    return p;
}


static void
ngx_chat_json_free(void *ctx, void *p)
{
    (void) ctx;
    (void) p;
}


/* The value, with its text in the same block, is linked into the tree. */

static ngx_chat_json_value_t *
ngx_chat_json_add(ngx_chat_json_parser_t *ps, ngx_chat_json_type_e type,
    const void *text, size_t len)
{
    ngx_chat_json_value_t  *v, **last;

    if (ps->values++ == NGX_CHAT_JSON_VALUES) {
        longjmp(ps->failed, NGX_CHAT_JSON_TOO_MANY);
    }

    v = ps->json->alloc(ps->json->ctx, sizeof(ngx_chat_json_value_t) + len);

    if (v == NULL) {
        longjmp(ps->failed, NGX_CHAT_JSON_NO_MEMORY);
    }

    v->type = type;
    v->name = ps->name;
    v->text.data = (u_char *) v + sizeof(ngx_chat_json_value_t);
    v->text.len = len;
    v->first = NULL;
    v->next = NULL;

    if (len) {
        ngx_memcpy(v->text.data, text, len);
    }

    ngx_str_null(&ps->name);

    if (ps->depth == 0) {
        ps->root = v;
        return v;
    }

    last = &ps->last[ps->depth - 1];

    if (*last) {
        (*last)->next = v;

    } else {
        ps->open[ps->depth - 1]->first = v;
    }

    *last = v;

    return v;
}


static int
ngx_chat_json_open(ngx_chat_json_parser_t *ps, ngx_chat_json_type_e type)
{
    if (ps->depth == NGX_CHAT_JSON_DEPTH) {
        ps->deep = 1;
        return 0;
    }

    ps->open[ps->depth] = ngx_chat_json_add(ps, type, NULL, 0);
    ps->last[ps->depth] = NULL;
    ps->depth++;

    return 1;
}


static int
ngx_chat_json_on_null(void *ctx)
{
    (void) ngx_chat_json_add(ctx, NGX_CHAT_JSON_NULL_e, NULL, 0);

    return 1;
}


static int
ngx_chat_json_on_boolean(void *ctx, int flag)
{
    (void) ngx_chat_json_add(ctx, flag ? NGX_CHAT_JSON_TRUE_e
                                       : NGX_CHAT_JSON_FALSE_e, NULL, 0);

    return 1;
}


static int
ngx_chat_json_on_number(void *ctx, const char *text, size_t len)
{
    (void) ngx_chat_json_add(ctx, NGX_CHAT_JSON_NUMBER_e, text, len);

    return 1;
}


static int
ngx_chat_json_on_string(void *ctx, const u_char *text, size_t len)
{
    (void) ngx_chat_json_add(ctx, NGX_CHAT_JSON_STRING_e, text, len);

    return 1;
}


static int
ngx_chat_json_on_object(void *ctx)
{
    return ngx_chat_json_open(ctx, NGX_CHAT_JSON_OBJECT_e);
}


static int
ngx_chat_json_on_name(void *ctx, const u_char *text, size_t len)
{
    ngx_chat_json_parser_t *ps = ctx;

    ps->name.data = ps->json->alloc(ps->json->ctx, len + 1);

    if (ps->name.data == NULL) {
        longjmp(ps->failed, NGX_CHAT_JSON_NO_MEMORY);
    }

    ps->name.len = len;

    if (len) {
        ngx_memcpy(ps->name.data, text, len);
    }

    return 1;
}


static int
ngx_chat_json_on_array(void *ctx)
{
    return ngx_chat_json_open(ctx, NGX_CHAT_JSON_ARRAY_e);
}


static int
ngx_chat_json_on_end(void *ctx)
{
    ngx_chat_json_parser_t *ps = ctx;

    ps->depth--;

    return 1;
}
