
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * chat_cluster: checks of all but the engine itself, which may be away when
 * nginx starts.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <ngx_chat_conf_app.h>
#include <ngx_chat_conf_cluster.h>
#include <ngx_chat_conf_database.h>
#include <store/ngx_chat_books.h>


#define NGX_CHAT_CONF_CLUSTER_KEEP      200000
#define NGX_CHAT_CONF_CLUSTER_KEEP_MIN  1000
#define NGX_CHAT_CONF_CLUSTER_LEASE     10000      /* ms */
#define NGX_CHAT_CONF_CLUSTER_TIMEOUT   10000
#define NGX_CHAT_CONF_CLUSTER_ISOLATE   30000
#define NGX_CHAT_CONF_CLUSTER_REPLICAS  16
#define NGX_CHAT_CONF_CLUSTER_NAME      64         /* bytes */
#define NGX_CHAT_CONF_CLUSTER_FILE      4096


/* A parameter that is a number or a time. */

typedef struct {
    const char  *name;                 /* with "=" */
    size_t       offset;               /* in ngx_chat_link_conf_t */
    ngx_uint_t   time;
    ngx_uint_t   min;
    ngx_uint_t   max;
    const char  *wanted;
} ngx_chat_conf_cluster_param_t;


static char *ngx_chat_conf_cluster_param(ngx_conf_t *cf, ngx_str_t *value,
    ngx_chat_link_conf_t *link);
static char *ngx_chat_conf_cluster_number(ngx_conf_t *cf, ngx_str_t *value,
    ngx_chat_conf_cluster_param_t *p, ngx_chat_link_conf_t *link);
static char *ngx_chat_conf_cluster_name(ngx_conf_t *cf, ngx_str_t *value,
    size_t skip, ngx_str_t *name);
static char *ngx_chat_conf_cluster_url(ngx_conf_t *cf, ngx_str_t *value,
    ngx_chat_link_conf_t *link);
static void ngx_chat_conf_cluster_defaults(ngx_conf_t *cf,
    ngx_chat_link_conf_t *link);
static ngx_int_t ngx_chat_conf_cluster_read(ngx_conf_t *cf,
    ngx_chat_main_conf_t *cmcf);
static ngx_int_t ngx_chat_conf_cluster_tls(ngx_conf_t *cf,
    ngx_chat_main_conf_t *cmcf);
static ngx_int_t ngx_chat_conf_cluster_failed(ngx_conf_t *cf,
    ngx_chat_main_conf_t *cmcf, const char *what, ngx_str_t *file);
static void ngx_chat_conf_cluster_cleanup(void *data);


static ngx_chat_conf_cluster_param_t  ngx_chat_conf_cluster_params[] = {
    { "replicas=", offsetof(ngx_chat_link_conf_t, replicas), 0,
      0, NGX_CHAT_CONF_CLUSTER_REPLICAS, "a number from 0 to 16" },
    { "keep=", offsetof(ngx_chat_link_conf_t, keep), 0,
      NGX_CHAT_CONF_CLUSTER_KEEP_MIN, 100000000,
      "a number of at least 1000" },
    { "lease=", offsetof(ngx_chat_link_conf_t, lease), 1,
      1000, 300000, "a time from 1s to 5m" },
    { "timeout=", offsetof(ngx_chat_link_conf_t, timeout), 1,
      1000, 60000, "a time from 1s to 1m" },
    { "isolate=", offsetof(ngx_chat_link_conf_t, isolate), 1,
      1000, 3600000, "a time from 1s to 1h" },
    { NULL, 0, 0, 0, 0, NULL }
};


char *
ngx_chat_conf_cluster(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_chat_main_conf_t *cmcf = conf;

    char                  *rv;
    ngx_str_t             *value;
    ngx_uint_t             i;
    ngx_chat_link_conf_t  *link;

    if (cmcf->store.link) {
        return "is duplicate: one has all URLs";
    }

    rv = (char *) ngx_chat_engine_check();

    if (rv) {
        return rv;
    }

    link = ngx_pcalloc(cf->pool, sizeof(ngx_chat_link_conf_t));
    if (link == NULL) {
        return NGX_CONF_ERROR;
    }

    link->replicas = NGX_CONF_UNSET_UINT;
    link->keep = NGX_CONF_UNSET_UINT;
    link->lease = NGX_CONF_UNSET_MSEC;
    link->timeout = NGX_CONF_UNSET_MSEC;
    link->isolate = NGX_CONF_UNSET_MSEC;

    link->engine.urls = ngx_array_create(cf->pool, 2,
                                         sizeof(ngx_chat_link_url_t));
    if (link->engine.urls == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (i = 1; rv == NGX_CONF_OK && i < cf->args->nelts; i++) {
        rv = ngx_chat_conf_cluster_param(cf, &value[i], link);
    }

    if (rv == NGX_CONF_OK && link->engine.urls->nelts == 0) {
        return "must have the URL of a Redis or Valkey, such as "
               "\"redis://127.0.0.1:6379\"";
    }

    cmcf->store.link = link;
    ngx_chat_conf_place(cf, &cmcf->cluster);

    return rv;
}


static char *
ngx_chat_conf_cluster_param(ngx_conf_t *cf, ngx_str_t *value,
    ngx_chat_link_conf_t *link)
{
    ngx_chat_conf_cluster_param_t  *p;

    if (ngx_strncmp(value->data, "prefix=", 7) == 0) {
        return ngx_chat_conf_cluster_name(cf, value, 7, &link->prefix);
    }

    if (ngx_strncmp(value->data, "name=", 5) == 0) {
        return ngx_chat_conf_cluster_name(cf, value, 5, &link->name);
    }

    for (p = ngx_chat_conf_cluster_params; p->name; p++) {

        if (ngx_strncmp(value->data, p->name, ngx_strlen(p->name)) == 0) {
            return ngx_chat_conf_cluster_number(cf, value, p, link);
        }
    }

    return ngx_chat_conf_cluster_url(cf, value, link);
}


static char *
ngx_chat_conf_cluster_number(ngx_conf_t *cf, ngx_str_t *value,
    ngx_chat_conf_cluster_param_t *p, ngx_chat_link_conf_t *link)
{
    ngx_int_t    n;
    ngx_str_t    s;
    ngx_uint_t  *field;

    field = (ngx_uint_t *) ((u_char *) link + p->offset);

    if (*field != NGX_CONF_UNSET_UINT) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "duplicate parameter \"%V\"",
                           value);
        return NGX_CONF_ERROR;
    }

    s.data = value->data + ngx_strlen(p->name);
    s.len = value->len - ngx_strlen(p->name);

    n = p->time ? ngx_parse_time(&s, 0) : ngx_atoi(s.data, s.len);

    if (n == NGX_ERROR || n < (ngx_int_t) p->min || n > (ngx_int_t) p->max) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\", it must be %s", value,
                           p->wanted);
        return NGX_CONF_ERROR;
    }

    *field = n;

    return NGX_CONF_OK;
}


/* A part of keys, so no braces; shown in logs and answers, so no blanks. */

static char *
ngx_chat_conf_cluster_name(ngx_conf_t *cf, ngx_str_t *value, size_t skip,
    ngx_str_t *name)
{
    size_t   i;
    u_char   c;

    if (name->len) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "duplicate parameter \"%V\"",
                           value);
        return NGX_CONF_ERROR;
    }

    name->data = value->data + skip;
    name->len = value->len - skip;

    for (i = 0; i < name->len; i++) {
        c = name->data[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
              || (c >= '0' && c <= '9') || ngx_strchr("._-", c)))
        {
            break;
        }
    }

    if (i < name->len || name->len == 0
        || name->len > NGX_CHAT_CONF_CLUSTER_NAME)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\", it must have 1 to 64 "
                           "letters, digits, \".\", \"_\" and \"-\"", value);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_chat_conf_cluster_url(ngx_conf_t *cf, ngx_str_t *value,
    ngx_chat_link_conf_t *link)
{
    const char           *error;
    ngx_chat_link_url_t  *url;

    url = ngx_array_push(link->engine.urls);
    if (url == NULL) {
        return NGX_CONF_ERROR;
    }

    error = ngx_chat_link_url_read(value, url);

    if (error) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"chat_cluster\": the URL %s", error);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_chat_conf_cluster_file(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *rv;

    rv = ngx_conf_set_str_slot(cf, cmd, conf);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    return (ngx_conf_full_name(cf->cycle,
                               (ngx_str_t *) ((char *) conf + cmd->offset), 1)
            == NGX_OK)
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


ngx_int_t
ngx_chat_conf_cluster_init(ngx_conf_t *cf, ngx_chat_main_conf_t *cmcf)
{
    ngx_chat_link_conf_t    *link;
    ngx_chat_cluster_tls_t  *files;

    link = cmcf->store.link;
    files = &cmcf->cluster_tls;

    if (link == NULL) {

        if (files->password.len || files->certificate.len || files->key.len
            || files->trusted.len)
        {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "\"chat_cluster_...\" needs \"chat_cluster\"");
            return NGX_ERROR;
        }

        return NGX_OK;
    }

    if (cmcf->herald.n && ngx_chat_books_check()) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"webhook\" can't be used with \"chat_cluster\" here: "
                      "%s, in %V:%ui", ngx_chat_books_check(),
                      &cmcf->cluster.file, cmcf->cluster.line);
        return NGX_ERROR;
    }

    ngx_chat_conf_cluster_defaults(cf, link);

    if (ngx_chat_conf_database_required(cf, cmcf, &cmcf->cluster) != NGX_OK
        || ngx_chat_link_conf(link, cf->pool) != NGX_OK
        || ngx_chat_conf_cluster_read(cf, cmcf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_chat_conf_cluster_tls(cf, cmcf);
}


static void
ngx_chat_conf_cluster_defaults(ngx_conf_t *cf, ngx_chat_link_conf_t *link)
{
    if (link->prefix.len == 0) {
        ngx_str_set(&link->prefix, "chat");
    }

    if (link->name.len == 0) {
        link->name = cf->cycle->hostname;
    }

    ngx_conf_init_uint_value(link->replicas, 0);
    ngx_conf_init_uint_value(link->keep, NGX_CHAT_CONF_CLUSTER_KEEP);
    ngx_conf_init_msec_value(link->lease, NGX_CHAT_CONF_CLUSTER_LEASE);
    ngx_conf_init_msec_value(link->timeout, NGX_CHAT_CONF_CLUSTER_TIMEOUT);
    ngx_conf_init_msec_value(link->isolate, NGX_CHAT_CONF_CLUSTER_ISOLATE);
}


/* The first line of the password's file. */

static ngx_int_t
ngx_chat_conf_cluster_read(ngx_conf_t *cf, ngx_chat_main_conf_t *cmcf)
{
    FILE                 *f;
    ngx_str_t            *name, *password;
    ngx_uint_t            i;
    ngx_chat_link_url_t  *urls;

    name = &cmcf->cluster_tls.password;
    password = &cmcf->store.link->engine.password;

    if (name->len == 0) {
        urls = cmcf->store.link->engine.urls->elts;

        for (i = 0; i < cmcf->store.link->engine.urls->nelts; i++) {

            if (urls[i].user.len) {
                ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                              "\"chat_cluster\": the user \"%V\" needs "
                              "\"chat_cluster_password\" in %V:%ui",
                              &urls[i].user, &cmcf->cluster.file,
                              cmcf->cluster.line);
                return NGX_ERROR;
            }
        }

        return NGX_OK;
    }

    password->data = ngx_pnalloc(cf->pool, NGX_CHAT_CONF_CLUSTER_FILE);
    if (password->data == NULL) {
        return NGX_ERROR;
    }

    f = fopen((char *) name->data, "r");

    if (f == NULL
        || fgets((char *) password->data, NGX_CHAT_CONF_CLUSTER_FILE, f)
           == NULL)
    {
        if (f) {
            (void) fclose(f);
        }

        return ngx_chat_conf_cluster_failed(cf, cmcf, "password can't be read "
                                            "from", name);
    }

    (void) fclose(f);

    password->len = strcspn((char *) password->data, "\r\n");

    return password->len ? NGX_OK
                         : ngx_chat_conf_cluster_failed(cf, cmcf, "password is "
                                                        "not in", name);
}


static ngx_int_t
ngx_chat_conf_cluster_tls(ngx_conf_t *cf, ngx_chat_main_conf_t *cmcf)
{
    SSL_CTX                 *ctx;
    ngx_uint_t               i, tls;
    ngx_pool_cleanup_t      *cln;
    ngx_chat_link_url_t     *urls;
    ngx_chat_cluster_tls_t  *files;
    ngx_chat_engine_conf_t  *engine;

    files = &cmcf->cluster_tls;
    engine = &cmcf->store.link->engine;
    urls = engine->urls->elts;
    tls = 0;

    for (i = 0; i < engine->urls->nelts; i++) {
        tls |= urls[i].tls;
    }

    if (!tls) {
        return NGX_OK;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    ctx = SSL_CTX_new(TLS_client_method());

    if (cln == NULL || ctx == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_chat_conf_cluster_cleanup;
    cln->data = ctx;
    engine->ssl = ctx;

    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    (void) SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    (void) SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE
                                 |SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);

    if (files->trusted.len == 0) {
        (void) SSL_CTX_set_default_verify_paths(ctx);

    } else if (SSL_CTX_load_verify_locations(ctx, (char *) files->trusted.data,
                                             NULL)
               != 1)
    {
        return ngx_chat_conf_cluster_failed(cf, cmcf, "certificates of "
                                            "authorities can't be read from",
                                            &files->trusted);
    }

    if ((files->certificate.len == 0) != (files->key.len == 0)) {
        return ngx_chat_conf_cluster_failed(cf, cmcf, "certificate and its key "
                                            "go together, and there is only",
                                            files->key.len ? &files->key
                                            : &files->certificate);
    }

    if (files->certificate.len
        && SSL_CTX_use_certificate_chain_file(ctx,
                                           (char *) files->certificate.data)
           != 1)
    {
        return ngx_chat_conf_cluster_failed(cf, cmcf, "certificate can't be "
                                            "read from", &files->certificate);
    }

    if (files->key.len
        && SSL_CTX_use_PrivateKey_file(ctx, (char *) files->key.data,
                                       SSL_FILETYPE_PEM)
           != 1)
    {
        return ngx_chat_conf_cluster_failed(cf, cmcf, "key is not the "
                                            "certificate's, or can't be read "
                                            "from", &files->key);
    }

    return NGX_OK;
}


static void
ngx_chat_conf_cluster_cleanup(void *data)
{
    SSL_CTX_free(data);
}


static ngx_int_t
ngx_chat_conf_cluster_failed(ngx_conf_t *cf, ngx_chat_main_conf_t *cmcf,
    const char *what, ngx_str_t *file)
{
    ERR_clear_error();

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "\"chat_cluster\": the %s \"%V\" in %V:%ui", what, file,
                  &cmcf->cluster.file, cmcf->cluster.line);

    return NGX_ERROR;
}
