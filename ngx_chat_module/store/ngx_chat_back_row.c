
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What the database knows of the cluster: a row of meta.  All runs on the
 * back's thread, with the write lock.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <store/ngx_chat_back_work.h>

#include <stdio.h>


#define NGX_CHAT_BACK_ROW  128         /* bytes of what is kept */


static ngx_int_t ngx_chat_back_row(ngx_chat_db_t *db, char *row);


/* "ID TERM SEQ NONCE". */

ngx_int_t
ngx_chat_back_load(ngx_chat_back_t *b, ngx_chat_link_place_t *place, char *id)
{
    char                row[NGX_CHAT_BACK_ROW];
    ngx_int_t           rc;
    unsigned long long  term, seq, nonce;

    rc = ngx_chat_back_row(&b->handle.db, row);

    id[0] = '\0';

    if (rc != NGX_OK || row[0] == '\0') {
        return rc;
    }

    if (sscanf(row, "%32[0-9a-f] %llu %llu %16llx", id, &term, &seq, &nonce)
        != 4)
    {
        id[0] = '\0';
        return ngx_chat_db_refuse(&b->handle.db, NGX_ERROR,
                                  "meta has no place in a cluster's log");
    }

    place->term = term;
    place->seq = seq;
    place->nonce = nonce;

    return NGX_OK;
}


static ngx_int_t
ngx_chat_back_row(ngx_chat_db_t *db, char *row)
{
    int            rc;
    const u_char  *p;
    sqlite3_stmt  *st;

    row[0] = '\0';

    rc = sqlite3_prepare_v2(db->handle, "SELECT value FROM meta"
                            " WHERE key = 'cluster'", -1, &st, NULL);
    if (rc != SQLITE_OK) {
        return ngx_chat_db_failed(db, "sqlite3_prepare_v2()");
    }

    rc = sqlite3_step(st);

    if (rc == SQLITE_ROW) {
        p = sqlite3_column_text(st, 0);
        (void) snprintf(row, NGX_CHAT_BACK_ROW, "%s", p ? (char *) p : "");
        rc = SQLITE_DONE;
    }

    rc = (rc == SQLITE_DONE) ? NGX_OK
                             : (int) ngx_chat_db_failed(db, "sqlite3_step()");

    (void) sqlite3_finalize(st);

    return rc;
}


ngx_int_t
ngx_chat_back_keep(ngx_chat_back_t *b, ngx_chat_link_place_t *place)
{
    char  sql[256 + 2 * NGX_CHAT_LINK_EPOCH];

    (void) snprintf(sql, sizeof(sql),
                    "INSERT OR REPLACE INTO meta (key, value) VALUES"
                    " ('cluster', '%.32s %llu %llu %016llx'),"
                    " ('epoch', '%.32s')", (char *) b->meta.id,
                    (unsigned long long) place->term,
                    (unsigned long long) place->seq,
                    (unsigned long long) place->nonce,
                    (char *) b->meta.epoch);

    return ngx_chat_db_exec(&b->handle.db, sql);
}
