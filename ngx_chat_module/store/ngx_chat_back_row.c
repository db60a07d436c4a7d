
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


/* "ID TERM SEQ NONCE". */

ngx_int_t
ngx_chat_back_load(ngx_chat_back_t *b, ngx_chat_link_place_t *place, char *id)
{
    char                row[NGX_CHAT_BACK_ROW];
    ngx_int_t           rc;
    unsigned long long  term, seq, nonce;

    rc = ngx_chat_db_meta(&b->handle.db, "cluster", row, sizeof(row));

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
