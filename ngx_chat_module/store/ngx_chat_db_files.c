
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The three files of a database, by their names: which they are now, and
 * how the WAL is removed.  Asked before each commit, so by no more calls
 * than needed.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <store/ngx_chat_db.h>


ngx_int_t
ngx_chat_db_files(const char *path, ngx_chat_db_files_t *files)
{
    char         name[PATH_MAX + sizeof("-wal")];
    size_t       len;
    struct stat  st;

    memset(files, 0, sizeof(ngx_chat_db_files_t));

    len = strlen(path);

    if (len >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return NGX_ERROR;
    }

    memcpy(name, path, len + 1);

    if (lstat(path, &st) == -1) {
        return (errno == ENOENT) ? NGX_OK : NGX_ERROR;
    }

    /* SQLite has the WAL beside what a symbolic link leads to */

    if (S_ISLNK(st.st_mode)
        && (realpath(path, name) == NULL || stat(name, &st) == -1))
    {
        return (errno == ENOENT) ? NGX_OK : NGX_ERROR;
    }

    files->dev = st.st_dev;
    files->file = st.st_ino;

    len = strlen(name);

    memcpy(name + len, "-wal", sizeof("-wal"));

    if (stat(name, &st) == 0) {
        files->wal = st.st_ino;
    }

    memcpy(name + len, "-shm", sizeof("-shm"));

    if (stat(name, &st) == 0) {
        files->shm = st.st_ino;
    }

    return NGX_OK;
}


ngx_int_t
ngx_chat_db_unlink_wal(const char *path)
{
    char    name[PATH_MAX + sizeof("-wal")];
    size_t  len;

    if (realpath(path, name) == NULL) {
        return NGX_ERROR;
    }

    len = strlen(name);

    /* the index first: without it a WAL is read from its beginning */

    memcpy(name + len, "-shm", sizeof("-shm"));

    if (unlink(name) == -1 && errno != ENOENT) {
        return NGX_ERROR;
    }

    memcpy(name + len, "-wal", sizeof("-wal"));

    return (unlink(name) == -1 && errno != ENOENT) ? NGX_ERROR : NGX_OK;
}
