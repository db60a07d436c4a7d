
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Webhooks in a cluster.
 *
 * Each node has a herald, and one of them leads: it has a lease in the engine,
 * reads its ring, keeps the books and sends.  Of what the log says each node's
 * ring has the same.  What only one node knows (a client's event, an empty
 * cache, a closed connection) that node's herald forwards, and it comes back to
 * all by the log.
 *
 * A round of the leading herald is not committed.  What it would have changed
 * becomes an item of the log, which all nodes' backs apply, and the round is
 * done when this node's has.  The engine takes the item only where the one
 * before is the one that the round was made upon.  So it does no harm that two
 * nodes lead for a moment, nor that nobody knows what came of an append: the
 * next round begins from what the database has.
 *
 * Whoever takes the lead later has the same books, the same rows under the same
 * ids, and in its own ring what is to be read next.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <hook/ngx_chat_herald_work.h>
#include <link/ngx_chat_log_item.h>
#include <shared/ngx_chat_index.h>
#include <wire/ngx_chat_clock.h>
#include <wire/ngx_chat_failpoint.h>

#include <stdio.h>


#define NGX_CHAT_HERALD_ASK      1000      /* ms between questions, at most */
#define NGX_CHAT_HERALD_CALL     1000      /* ms of a command */
#define NGX_CHAT_HERALD_AGAIN    100       /* ms between attempts */
#define NGX_CHAT_HERALD_EXIT     500       /* ms of a command at the end */
#define NGX_CHAT_HERALD_TELL     10000     /* ms between two lines of the log */
#define NGX_CHAT_HERALD_REVIVES  20        /* attempts */
#define NGX_CHAT_HERALD_SKIP     65536     /* ids */
#define NGX_CHAT_HERALD_ITEM     (32 * 1024 * 1024)    /* bytes: a node must be
                                                          able to read it */
#define NGX_CHAT_HERALD_ADOPT    60000     /* ms that a node waits for one that
                                              lacks nothing */


static void ngx_chat_herald_ask(ngx_chat_herald_t *h, uint64_t now,
    uint64_t term);
static ngx_int_t ngx_chat_herald_has(ngx_chat_herald_t *h,
    ngx_chat_link_books_t *last);
static void ngx_chat_herald_takes_lead(ngx_chat_herald_t *h,
    ngx_uint_t adopted);
static void ngx_chat_herald_loses_lead(ngx_chat_herald_t *h);
static ngx_int_t ngx_chat_herald_publish_books(ngx_chat_herald_t *h,
    ngx_uint_t kind, ngx_str_t *changes, ngx_chat_link_books_t *books,
    ngx_uint_t last);
static ngx_int_t ngx_chat_herald_came_back(ngx_chat_herald_t *h,
    ngx_chat_link_batch_t *b, uint64_t end);


void
ngx_chat_herald_cluster_init(ngx_chat_herald_t *h)
{
    if (h->link_conf) {
        ngx_memzero(&h->cluster, sizeof(ngx_chat_herald_cluster_t));

        h->cluster.worker = ngx_chat_link_random();
        ngx_chat_link_init(&h->cluster.link, h->link_conf);
    }
}


void
ngx_chat_herald_cluster_exit(ngx_chat_herald_t *h)
{
    if (h->link_conf) {
        ngx_chat_link_close(&h->cluster.link);
        free(h->cluster.chain.positions);
        ngx_memzero(&h->cluster.chain, sizeof(ngx_chat_herald_chain_t));
    }
}


ngx_uint_t
ngx_chat_herald_leads(ngx_chat_herald_t *h)
{
    uint64_t                    now, term;
    ngx_chat_herald_cluster_t  *c;

    c = &h->cluster;

    if (h->link_conf == NULL) {
        return 1;
    }

    now = ngx_chat_clock_msec();
    term = ngx_chat_link_get(&h->link_conf->sh->term);

    if (c->leads && (term != c->term || now >= c->until)) {
        c->ask = 0;
        ngx_chat_herald_loses_lead(h);
    }

    if (term && now >= c->ask) {
        ngx_chat_herald_ask(h, now, term);
    }

    return c->leads;
}


static void
ngx_chat_herald_ask(ngx_chat_herald_t *h, uint64_t now, uint64_t term)
{
    uint64_t                    incarnation;
    ngx_uint_t                  adopt;
    ngx_chat_link_books_t       books;
    ngx_chat_link_herald_e      herald;
    ngx_chat_herald_cluster_t  *c;

    c = &h->cluster;
    c->ask = now + ngx_min(h->link_conf->lease / 4, NGX_CHAT_HERALD_ASK);

    incarnation = ngx_chat_link_get(&h->link_conf->sh->incarnation);
    adopt = (c->nobody && now - c->nobody >= NGX_CHAT_HERALD_ADOPT);

    if (incarnation == 0
        || ngx_chat_herald_has(h, &books) != NGX_OK
        || ngx_chat_link_herald(&c->link, term, incarnation, adopt, &books,
                                &herald)
           != NGX_OK)
    {
        return;
    }

    if (herald == NGX_CHAT_LINK_HERALD_SELF_e
        || herald == NGX_CHAT_LINK_HERALD_TAKEN_e)
    {
        c->nobody = 0;
        c->term = term;
        c->until = now + h->link_conf->lease;
        c->row = ngx_max(c->row, books.row);
        c->lacks |= books.lacks;

        /* an engine that has lost the end of the log, and nobody has noticed,
           does not know the last ids that were sent */

        if (herald == NGX_CHAT_LINK_HERALD_TAKEN_e && c->row) {
            c->row += NGX_CHAT_HERALD_SKIP;
        }

        if (!c->leads) {
            ngx_chat_herald_takes_lead(h, adopt);
        }

        return;
    }

    if (c->leads) {
        ngx_chat_herald_loses_lead(h);
    }

    if (herald == NGX_CHAT_LINK_HERALD_NOBODY_e) {

        if (c->nobody == 0) {
            c->nobody = now;

            ngx_log_error(NGX_LOG_NOTICE, h->log, 0,
                          "chat cluster: this node lacks events of webhooks, "
                          "and waits a minute for a node that has them");
        }

        return;
    }

    /* another one reads the records */

    c->nobody = 0;

    __atomic_store_n(&h->zone->sh->hooks.read, h->zone->sh->hooks.forwarded,
                     __ATOMIC_RELAXED);
}


/* The last of the webhooks' items that this node's database has. */

static ngx_int_t
ngx_chat_herald_has(ngx_chat_herald_t *h, ngx_chat_link_books_t *last)
{
    ngx_int_t  rc;

    rc = ngx_chat_handle_ready(&h->db.handle, 0, h->log);

    if (rc == NGX_OK) {
        rc = ngx_chat_books_last(&h->db.handle.db, last);
    }

    if (rc != NGX_OK) {
        ngx_chat_handle_failed(&h->db.handle, rc, NULL);
    }

    return rc;
}


static void
ngx_chat_herald_takes_lead(ngx_chat_herald_t *h, ngx_uint_t adopted)
{
    h->cluster.leads = 1;
    h->cluster.adopted = adopted;
    ngx_chat_herald_reset(h);

    ngx_log_error(NGX_LOG_NOTICE, h->log, 0,
                  "chat cluster: this node, \"%V\", sends the webhooks",
                  &h->link_conf->name);

    if (adopted) {
        ngx_log_error(NGX_LOG_WARN, h->log, 0,
                      "chat cluster: no node was there that has all of the "
                      "webhooks' events, this one goes on with what it has");
    }
}


/* The next time it leads, another node may have got another answer. */

static void
ngx_chat_herald_loses_lead(ngx_chat_herald_t *h)
{
    ngx_uint_t               i;
    ngx_chat_herald_hook_t  *hook;

    h->cluster.leads = 0;
    ngx_chat_herald_reset(h);

    for (i = 0; i < h->conf->n; i++) {
        hook = &h->hooks[i];

        if (hook->state == NGX_CHAT_HERALD_ANSWERED_e && !hook->delivered) {
            hook->state = NGX_CHAT_HERALD_IDLE_e;
        }
    }
}


void
ngx_chat_herald_revive_for_others(ngx_chat_herald_t *h)
{
    ngx_int_t   rc;
    ngx_uint_t  i, n, over;

    n = 0;

    for (i = 0; i < h->conf->n; i++) {
        n += (h->hooks[i].sh && h->hooks[i].sh->revive);
    }

    if (n == 0 || ngx_chat_clock_msec() < h->cluster.pause
        || ngx_chat_link_get(&h->link_conf->sh->term) == 0
        || ngx_chat_hook_db_begin(&h->db, h->log) != NGX_OK)
    {
        return;
    }

    rc = NGX_OK;

    for (i = 0; rc == NGX_OK && i < h->conf->n; i++) {
        if (h->hooks[i].sh && h->hooks[i].sh->revive) {
            rc = ngx_chat_herald_revive(h, &h->hooks[i]);
        }
    }

    rc = ngx_chat_herald_publish(h, rc, 0);

    /* a node that lacks something can't */

    h->cluster.revives = (rc == NGX_OK) ? 0 : h->cluster.revives + 1;
    over = (rc == NGX_OK || h->cluster.revives == NGX_CHAT_HERALD_REVIVES);

    for (i = 0; i < h->conf->n; i++) {

        if (over && h->hooks[i].sh) {
            h->hooks[i].sh->revive = 0;
        }

        h->hooks[i].revived = 0;
    }

    if (rc == NGX_OK) {
        return;
    }

    h->cluster.pause = ngx_chat_clock_msec() + NGX_CHAT_HERALD_REST;

    if (over) {
        h->cluster.revives = 0;

        ngx_log_error(NGX_LOG_WARN, h->log, 0,
                      "chat cluster: what was given up can't be sent again "
                      "by this node, ask another one");
    }
}


ngx_int_t
ngx_chat_herald_publish(ngx_chat_herald_t *h, ngx_int_t rc, ngx_uint_t last)
{
    ngx_str_t              changes;
    ngx_chat_link_books_t  books;

    rc = ngx_chat_hook_db_take(&h->db, rc, 0, &changes, &books, h->log);

    return (rc == NGX_OK)
           ? ngx_chat_herald_publish_books(h, NGX_CHAT_MESSAGE_BOOKS_e,
                                           &changes, &books, last)
           : rc;
}


/* Where it fails, who lacks something asks again. */

void
ngx_chat_herald_publish_all(ngx_chat_herald_t *h)
{
    uint64_t               now;
    ngx_int_t              rc;
    ngx_str_t              changes;
    ngx_chat_link_books_t  books;

    h->cluster.lacks = 0;

    if (ngx_chat_hook_db_begin(&h->db, h->log) != NGX_OK) {
        return;
    }

    rc = ngx_chat_hook_db_take(&h->db, NGX_OK, 1, &changes, &books, h->log);
    now = ngx_chat_clock_msec();

    if (rc == NGX_DECLINED && now >= h->cluster.told) {
        h->cluster.told = now + NGX_CHAT_HERALD_TELL;

        ngx_log_error(NGX_LOG_WARN, h->log, 0,
                      "chat cluster: a node lacks events of webhooks, and "
                      "there are too many to give it all: begin there with a "
                      "copy of this node's database");
    }

    if (rc != NGX_OK) {
        return;
    }

    rc = ngx_chat_herald_publish_books(h, NGX_CHAT_MESSAGE_BOOKS_ALL_e,
                                       &changes, &books, 0);
    if (rc == NGX_OK) {
        ngx_log_error(NGX_LOG_NOTICE, h->log, 0,
                      "chat cluster: a node that lacks events of webhooks is "
                      "given all of them");
    }
}


static ngx_int_t
ngx_chat_herald_publish_books(ngx_chat_herald_t *h, ngx_uint_t kind,
    ngx_str_t *changes, ngx_chat_link_books_t *books, ngx_uint_t last)
{
    uint64_t                end;
    ngx_int_t               rc;
    ngx_chat_log_item_t     item;
    ngx_chat_link_item_t    it;
    ngx_chat_link_batch_t   b;

    if (changes->len == 0) {
        return NGX_OK;
    }

    ngx_memzero(&item, sizeof(ngx_chat_log_item_t));
    ngx_memzero(&it, sizeof(ngx_chat_link_item_t));
    ngx_memzero(&b, sizeof(ngx_chat_link_batch_t));

    item.kind = kind;
    item.except.high = books->seq;
    item.except.low = books->term;
    item.content = *changes;

    b.items = &it;
    b.n = 1;
    b.books = books;

    rc = ngx_chat_herald_pack(h, &item, &it);

    ngx_chat_failpoint("hook commit");

    end = ngx_chat_herald_patience(h, last);

    if (rc == NGX_OK) {
        rc = ngx_chat_herald_append(h, &b, end);
    }

    if (rc == NGX_OK) {
        rc = ngx_chat_herald_came_back(h, &b, end);
    }

    ngx_chat_failpoint("hook committed");

    if (rc == NGX_OK) {
        h->cluster.adopted = 0;
        h->cluster.row = ngx_max(h->cluster.row, books->row);
    }

    free(it.bytes.data);
    free(changes->data);

    return rc;
}


ngx_int_t
ngx_chat_herald_pack(ngx_chat_herald_t *h, ngx_chat_log_item_t *item,
    ngx_chat_link_item_t *it)
{
    ngx_str_set(&item->channel, NGX_CHAT_HOOK_CHANNEL);

    if (!ngx_chat_log_item_fits(item)
        || item->content.len > NGX_CHAT_HERALD_ITEM)
    {
        ngx_log_error(NGX_LOG_ALERT, h->log, 0,
                      "chat cluster: webhooks have an item that is too long "
                      "for the log: %uz bytes", item->content.len);
        return NGX_ERROR;
    }

    it->bytes.data = malloc(ngx_chat_log_item_size(item));
    if (it->bytes.data == NULL) {
        return NGX_ERROR;
    }

    it->bytes.len = ngx_chat_log_item_pack(it->bytes.data, item)
                    - it->bytes.data;

    return NGX_OK;
}


ngx_int_t
ngx_chat_herald_append(ngx_chat_herald_t *h, ngx_chat_link_batch_t *b,
    uint64_t end)
{
    uint64_t                    now;
    ngx_int_t                   rc;
    ngx_chat_link_sh_t         *sh;
    ngx_chat_herald_cluster_t  *c;

    c = &h->cluster;
    sh = h->link_conf->sh;

    b->worker = c->worker;
    b->term = ngx_chat_link_get(&sh->term);
    b->incarnation = ngx_chat_link_get(&sh->incarnation);
    b->nonce = ngx_chat_link_random();

    for ( ;; ) {
        now = ngx_chat_clock_msec();

        rc = (now < end)
             ? ngx_chat_link_append(&c->link, b,
                                    ngx_min(end - now, NGX_CHAT_HERALD_CALL))
             : NGX_ERROR;

        /* nobody knows what came of it: the same is asked again */

        if (rc != NGX_ERROR || now >= end
            || !ngx_chat_single_goes_on(&h->single))
        {
            break;
        }

        ngx_chat_single_sleep(&h->single, NGX_CHAT_HERALD_AGAIN);
    }

    if (rc == NGX_DECLINED && now >= c->told) {
        c->told = now + NGX_CHAT_HERALD_TELL;

        ngx_log_error(NGX_LOG_ERR, h->log, 0,
                      "chat cluster: webhooks wait, as the engine takes "
                      "nothing: %s", c->link.engine.error);
    }

    if (rc != NGX_OK) {
        ngx_chat_link_set(&sh->doubt, 1);
    }

    return rc;
}


/* What was appended is in this node's database, and on as many replicas as are
   wanted. */

static ngx_int_t
ngx_chat_herald_came_back(ngx_chat_herald_t *h, ngx_chat_link_batch_t *b,
    uint64_t end)
{
    uint64_t             now;
    ngx_chat_link_sh_t  *sh;

    sh = h->link_conf->sh;
    now = ngx_chat_clock_msec();

    if (h->link_conf->replicas
        && ngx_chat_link_replicated(&h->cluster.link,
                                    (now < end) ? end - now : 1)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return (ngx_chat_link_sh_wait(sh, &sh->applied, b->last, end) == NGX_OK
            && ngx_chat_link_get(&sh->term) == b->term)
           ? NGX_OK : NGX_ERROR;
}


uint64_t
ngx_chat_herald_patience(ngx_chat_herald_t *h, ngx_uint_t last)
{
    return ngx_chat_clock_msec() + (last ? NGX_CHAT_HERALD_EXIT
                                         : h->link_conf->timeout);
}


ngx_int_t
ngx_chat_herald_skip_ids(ngx_chat_herald_t *h)
{
    char       sql[300];
    int64_t    row;
    ngx_int_t  rc;

    if (h->cluster.row == 0) {
        return NGX_OK;
    }

    rc = ngx_chat_db_highest(&h->db.handle.db, "webhook_events", &row);

    if (rc != NGX_OK || (uint64_t) row >= h->cluster.row) {
        return rc;
    }

    (void) snprintf(sql, sizeof(sql), "DELETE FROM sqlite_sequence"
                    " WHERE name = 'webhook_events';"
                    " INSERT INTO sqlite_sequence (name, seq)"
                    " VALUES ('webhook_events', %llu)",
                    (unsigned long long) h->cluster.row);

    return ngx_chat_db_exec(&h->db.handle.db, sql);
}


ngx_int_t
ngx_chat_herald_find_seq(ngx_chat_herald_t *h, uint64_t seq,
    uint64_t *position)
{
    uint64_t                 p, at;
    ngx_int_t                rc;
    ngx_chat_envelope_t      e;
    ngx_chat_hook_record_t   rec;

    p = ngx_chat_herald_newest(h->zone);

    if (p != NGX_CHAT_INDEX_NONE) {
        *position = p + 1;
    }

    while (p != NGX_CHAT_INDEX_NONE) {

        at = p;
        rc = ngx_chat_index_read(h->zone, &at, &e, &h->buf, h->log);

        if (rc != NGX_OK) {
            return rc;
        }

        if (ngx_chat_hook_record_unpack(&rec, e.payload.data, e.payload.len)
            == NGX_OK
            && rec.seq && rec.seq <= seq)
        {
            break;
        }

        *position = p;
        p = e.previous;
    }

    return NGX_OK;
}
