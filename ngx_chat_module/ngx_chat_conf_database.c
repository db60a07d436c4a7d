
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * chat_database: checks of the folder and the file, in the master; and
 * chat_retention, the limits of what is kept.
 *
 * The master is root and may write everything, so the checks are about the
 * worker's user.  Nothing that exists is changed: nginx must not change the
 * owner of a folder such as /tmp.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <ngx_thread_pool.h>

#include <grp.h>
#include <pwd.h>

#include <ngx_chat_conf_app.h>
#include <ngx_chat_conf_database.h>
#include <store/ngx_chat_db_open.h>


#define NGX_CHAT_CONF_GROUPS  256
#define NGX_CHAT_CONF_SIZE    (1024 * 1024)


static char *ngx_chat_conf_database_folder(ngx_conf_t *cf, ngx_str_t *path);
static char *ngx_chat_conf_retention_limit(ngx_conf_t *cf,
    ngx_chat_retention_limits_t *limits, ngx_str_t *param);
static ngx_int_t ngx_chat_conf_database_folder_name(ngx_pool_t *pool,
    ngx_str_t *path, ngx_str_t *folder);
static ngx_int_t ngx_chat_conf_database_writable(ngx_cycle_t *cycle,
    ngx_str_t *name, mode_t bits, ngx_chat_place_t *place);
static ngx_uint_t ngx_chat_conf_database_in_group(ngx_core_conf_t *ccf,
    gid_t gid);


char *
ngx_chat_conf_database(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_chat_main_conf_t *cmcf = conf;

    ngx_str_t  *value, *path;

    path = &cmcf->store.path;

    if (path->len) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 0 || value[1].data[value[1].len - 1] == '/') {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is not the name of a file", &value[1]);
        return NGX_CONF_ERROR;
    }

    cmcf->store.full = 1;

    if (cf->args->nelts == 3) {

        if (ngx_strcmp(value[2].data, "sync=normal") == 0) {
            cmcf->store.full = 0;

        } else if (ngx_strcmp(value[2].data, "sync=full") != 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\", it must be "
                               "\"sync=full\" or \"sync=normal\"", &value[2]);
            return NGX_CONF_ERROR;
        }
    }

    *path = value[1];
    ngx_chat_conf_place(cf, &cmcf->database);

    if (ngx_conf_full_name(cf->cycle, path, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    cmcf->store.pool = ngx_thread_pool_add(cf, NULL);

    if (cmcf->store.pool == NULL) {
        return NGX_CONF_ERROR;
    }

    return ngx_chat_conf_database_folder(cf, path);
}


static char *
ngx_chat_conf_database_folder(ngx_conf_t *cf, ngx_str_t *path)
{
    ngx_str_t         folder, parent;
    ngx_path_t       *p;
    ngx_file_info_t   fi;

    if (ngx_chat_conf_database_folder_name(cf->pool, path, &folder)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (ngx_file_info(folder.data, &fi) != NGX_FILE_ERROR) {
        return NGX_CONF_OK;
    }

    if (ngx_chat_conf_database_folder_name(cf->pool, &folder, &parent)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (ngx_file_info(parent.data, &fi) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "the folder \"%V\" can't be created, create \"%V\" "
                           "first", &folder, &parent);
        return NGX_CONF_ERROR;
    }

    p = ngx_pcalloc(cf->pool, sizeof(ngx_path_t));
    if (p == NULL) {
        return NGX_CONF_ERROR;
    }

    p->name = folder;
    p->conf_file = cf->conf_file->file.name.data;
    p->line = cf->conf_file->line;

    return (ngx_add_path(cf, &p) == NGX_OK) ? NGX_CONF_OK : NGX_CONF_ERROR;
}


char *
ngx_chat_conf_retention(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_chat_main_conf_t *cmcf = conf;

    char        *rv;
    ngx_str_t   *value;
    ngx_uint_t   i;

    if (cmcf->retention.name.len) {
        return "is duplicate";
    }

    ngx_chat_conf_place(cf, &cmcf->retention);

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {
        rv = ngx_chat_conf_retention_limit(cf, &cmcf->store.retention,
                                           &value[i]);
        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_chat_conf_retention_limit(ngx_conf_t *cf,
    ngx_chat_retention_limits_t *limits, ngx_str_t *param)
{
    u_char      *p;
    int64_t     *limit, n, min;
    ngx_str_t    s;
    const char  *what;

    p = ngx_strlchr(param->data, param->data + param->len, '=');

    s.data = p ? p + 1 : param->data;
    s.len = param->data + param->len - s.data;

    if (ngx_strncmp(param->data, "age=", 4) == 0) {
        limit = &limits->age;
        min = 1;
        what = "a time of at least 1s, such as \"age=30d\"";

        n = ngx_parse_time(&s, 1);
        n = (n > 0) ? n * 1000 : n;

    } else if (ngx_strncmp(param->data, "count=", 6) == 0) {
        limit = &limits->count;
        min = 1;
        what = "a number of at least 1, such as \"count=10000\"";

        n = ngx_atoi(s.data, s.len);

    } else if (ngx_strncmp(param->data, "size=", 5) == 0) {
        limit = &limits->size;
        min = NGX_CHAT_CONF_SIZE;
        what = "a size of at least 1m, such as \"size=1g\"";

        n = ngx_parse_offset(&s);

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\", it must be "
                           "\"age=time\", \"count=number\" or "
                           "\"size=size\"", param);
        return NGX_CONF_ERROR;
    }

    if (*limit) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "duplicate parameter \"%V\"", param);
        return NGX_CONF_ERROR;
    }

    if (n < min) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\", it must be %s", param,
                           what);
        return NGX_CONF_ERROR;
    }

    *limit = n;

    return NGX_CONF_OK;
}


ngx_int_t
ngx_chat_conf_database_required(ngx_conf_t *cf, ngx_chat_main_conf_t *cmcf,
    ngx_chat_place_t *place)
{
    if (cmcf->store.path.len) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "\"%V\" needs a database, add \"chat_database "
                  "/path/to/chat.db;\" to the http block in %V:%ui",
                  &place->name, &place->file, place->line);

    return NGX_ERROR;
}


ngx_int_t
ngx_chat_conf_database_check(ngx_cycle_t *cycle, ngx_str_t *path,
    ngx_chat_place_t *place)
{
    ngx_int_t        rc;
    ngx_str_t        folder;
    ngx_file_info_t  fi;
    char             error[NGX_CHAT_DB_ERROR_LEN];

    if (ngx_chat_conf_database_folder_name(cycle->pool, path, &folder)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    rc = ngx_chat_db_probe((char *) path->data, error);

    if (rc != NGX_DECLINED
        && ngx_file_info(path->data, &fi) == NGX_FILE_ERROR)
    {
        return ngx_chat_conf_database_writable(cycle, &folder, 3, place);
    }

    if (rc == NGX_ERROR) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "chat_database \"%V\" can't be read in %V:%ui", path,
                      &place->file, place->line);
        return NGX_ERROR;
    }

    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "chat_database \"%V\": %s (it is left untouched; name "
                      "another file) in %V:%ui", path, error, &place->file,
                      place->line);
        return NGX_ERROR;
    }

    rc = ngx_chat_conf_database_writable(cycle, &folder, 3, place);

    return (rc == NGX_OK)
           ? ngx_chat_conf_database_writable(cycle, path, 2, place) : rc;
}


static ngx_int_t
ngx_chat_conf_database_folder_name(ngx_pool_t *pool, ngx_str_t *path,
    ngx_str_t *folder)
{
    size_t  len;

    for (len = path->len; len > 1 && path->data[len - 1] != '/'; len--) {
        /* void */
    }

    /* without the slash, save for the root */

    folder->len = (len > 1) ? len - 1 : len;
    folder->data = ngx_pnalloc(pool, folder->len + 1);

    if (folder->data == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_cpystrn(folder->data, path->data, folder->len + 1);

    return NGX_OK;
}


/* bits: of a permission triple, 2 to write, 1 to enter. */

static ngx_int_t
ngx_chat_conf_database_writable(ngx_cycle_t *cycle, ngx_str_t *name,
    mode_t bits, ngx_chat_place_t *place)
{
    uid_t             uid;
    mode_t            mode;
    ngx_file_info_t   fi;
    ngx_core_conf_t  *ccf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    if (ngx_file_info(name->data, &fi) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "chat_database: " ngx_file_info_n " \"%V\" failed "
                      "in %V:%ui", name, &place->file, place->line);
        return NGX_ERROR;
    }

    /* only root has workers of another user */

    if (geteuid() != 0) {

        if (access((char *) name->data, W_OK) == 0) {
            return NGX_OK;
        }

        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "chat_database: \"%V\" is not writable for the user "
                      "that runs nginx in %V:%ui", name, &place->file,
                      place->line);
        return NGX_ERROR;
    }

    uid = (uid_t) ccf->user;
    mode = fi.st_mode;

    if (uid == 0) {
        return NGX_OK;
    }

    if (fi.st_uid == uid) {
        mode >>= 6;

    } else if (ngx_chat_conf_database_in_group(ccf, fi.st_gid)) {
        mode >>= 3;
    }

    if ((mode & bits) == bits) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                  "chat_database: \"%V\" is not writable for the worker user "
                  "\"%s\"; name a file in a folder of that user's own (a "
                  "missing folder is created for it), or change the owner "
                  "in %V:%ui", name, ccf->username, &place->file,
                  place->line);

    return NGX_ERROR;
}


static ngx_uint_t
ngx_chat_conf_database_in_group(ngx_core_conf_t *ccf, gid_t gid)
{
    int             i, n;
    gid_t           groups[NGX_CHAT_CONF_GROUPS];
    struct passwd  *pw;

    if ((gid_t) ccf->group == gid) {
        return 1;
    }

    /* the master has one thread; NOLINTNEXTLINE(concurrency-mt-unsafe) */
    pw = ccf->username ? getpwnam(ccf->username) : NULL;

    if (pw == NULL) {
        return 0;
    }

    /* nginx calls initgroups() for its workers */

    n = NGX_CHAT_CONF_GROUPS;

    if (getgrouplist(ccf->username, pw->pw_gid, groups, &n) == -1) {
        return 0;
    }

    for (i = 0; i < n; i++) {
        if (groups[i] == gid) {
            return 1;
        }
    }

    return 0;
}


ngx_int_t
ngx_chat_conf_database_init(ngx_chat_main_conf_t *cmcf, ngx_log_t *log)
{
    ngx_chat_zone_t       *zone;
    ngx_chat_store_sh_t   *sh;

    zone = cmcf->zone;
    sh = zone->sh->store;

    if (sh == NULL) {

        sh = ngx_slab_alloc(zone->shpool, sizeof(ngx_chat_store_sh_t)
                                          + cmcf->store.path.len);

        if (sh == NULL || ngx_chat_store_init_shared(sh) != NGX_OK) {
            ngx_log_error(NGX_LOG_EMERG, log, 0, "chat_zone is too small");
            return NGX_ERROR;
        }

        sh->path.len = cmcf->store.path.len;
        sh->path.data = (u_char *) sh + sizeof(ngx_chat_store_sh_t);
        ngx_memcpy(sh->path.data, cmcf->store.path.data, sh->path.len);

        zone->sh->store = sh;
    }

    /* the zone knows of one database which events were sent */

    if (sh->path.len != cmcf->store.path.len
        || ngx_memcmp(sh->path.data, cmcf->store.path.data, sh->path.len)
           != 0)
    {
        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "chat_database is \"%V\" in the running nginx and "
                      "can't become \"%V\" by a reload, restart nginx "
                      "in %V:%ui", &sh->path, &cmcf->store.path,
                      &cmcf->database.file, cmcf->database.line);
        return NGX_ERROR;
    }

    cmcf->store.sh = sh;
    cmcf->store.zone = zone;
    cmcf->store.render = ngx_chat_store_hooks_render;
    cmcf->store.append = ngx_chat_store_hooks_append;
    cmcf->store.sent = ngx_chat_store_hooks_sent;
    cmcf->store.behind = ngx_chat_store_hooks_behind;
    cmcf->store.begun = ngx_chat_store_hooks_begun;
    cmcf->store.queued = ngx_chat_store_hooks_queued;
    cmcf->store.reading = ngx_chat_store_hooks_reading;
    cmcf->store.event_max = ngx_chat_store_hooks_event_max;
    cmcf->store.batch_max = zone->sh->ring->size / 8;
    cmcf->store.data = &cmcf->store_hooks;

    if (cmcf->store.link) {
        cmcf->store.link->sh = &sh->link;
    }

    if (cmcf->herald.n) {
        cmcf->store.stored = ngx_chat_herald_stored;
        cmcf->store.stored_data = &cmcf->herald;
    }

    return NGX_OK;
}
