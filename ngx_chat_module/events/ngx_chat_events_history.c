
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Stored messages for clients of chat_events.
 *
 * A channel's page may end before the place's mark.  Then the round goes up to
 * the end of the shortest such page, so that no message comes before one with a
 * lower id, and the next round begins there.  A row that does not fit any more
 * ends the round before it; one with a lower id than all that are kept takes
 * their place.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <events/ngx_chat_events_history.h>
#include <events/ngx_chat_events_row.h>
#include <session/ngx_chat_replay.h>
#include <shared/ngx_chat_index.h>
#include <store/ngx_chat_store.h>


#define NGX_CHAT_EVENTS_HISTORY_ROWS  128      /* of a round, about */
#define NGX_CHAT_EVENTS_HISTORY_LEAST 8        /* of a channel */


/* Of a channel. */

typedef struct {
    ngx_str_t                 *channel;
    u_char                    *rows;           /* NULL: none */
    u_char                    *next;           /* the first that is not given */
    u_char                    *last;
} ngx_chat_events_history_page_t;


struct ngx_chat_events_history_s {
    ngx_chat_read_t           *read;           /* NULL: none is under way */
    ngx_queue_t               *queue;          /* subscription of that page */
    ngx_uint_t                 limit;          /* rows of a page */
    ngx_uint_t                 nrows;
    size_t                     size;           /* bytes of rows */
    uint64_t                   upto;           /* id that ends the round */

    void                     (*done)(ngx_chat_events_t *ev, ngx_int_t rc);

    ngx_uint_t                 whole;
    ngx_uint_t                 nchannels;
    ngx_uint_t                 npages;         /* that were read */
    ngx_chat_events_history_page_t  pages[];
};


static ngx_int_t ngx_chat_events_history_start(ngx_chat_events_t *ev);
static void ngx_chat_events_history_done(ngx_chat_read_t *rd, ngx_int_t rc);
static ngx_int_t ngx_chat_events_history_take(ngx_chat_events_t *ev,
    ngx_chat_read_t *rd);
static size_t ngx_chat_events_history_cut(ngx_chat_events_history_t *h,
    ngx_chat_read_t *rd);
static void ngx_chat_events_history_drop(ngx_chat_events_history_t *h);
static ngx_uint_t ngx_chat_events_history_is_whole(ngx_chat_events_t *ev);
static ngx_chat_events_history_page_t *ngx_chat_events_history_first(
    ngx_chat_events_history_t *h);
static ngx_int_t ngx_chat_events_history_add(ngx_chat_events_t *ev,
    ngx_chat_events_history_page_t *page);


static ngx_chat_events_text_t  ngx_chat_events_history_text;

/*
 * All clients of this worker are one to the store: a client may want a page of
 * each of 100 channels, and others' requests are not to wait behind thousands
 * of these.
 */
static ngx_chat_read_client_t  ngx_chat_events_history_client;


ngx_uint_t
ngx_chat_events_history_has_all(ngx_chat_events_t *ev)
{
    ngx_queue_t              *q;
    ngx_chat_zone_t          *zone;
    ngx_chat_store_t         *store;
    ngx_chat_subscriber_t    *sr;
    ngx_chat_subscription_t  *sn;

    zone = ngx_chat_events_zone(ev);
    store = ev->session.sessions->store;

    if (store == NULL || ngx_chat_store_removed(store) > ev->at.behind) {
        return 0;
    }

    sr = &ev->session.subscriber;

    for (q = ngx_queue_head(&sr->subscriptions);
         q != ngx_queue_sentinel(&sr->subscriptions);
         q = ngx_queue_next(q))
    {
        sn = ngx_queue_data(q, ngx_chat_subscription_t, queue);

        if (ngx_chat_index_unstored(zone, sn->channel->hash,
                                    ev->at.place.position))
        {
            return 0;
        }
    }

    return 1;
}


ngx_int_t
ngx_chat_events_history_read(ngx_chat_events_t *ev, ngx_uint_t whole,
    void (*done)(ngx_chat_events_t *ev, ngx_int_t rc))
{
    ngx_uint_t                  n;
    ngx_chat_events_history_t  *h;

    ngx_chat_events_history_free(ev);

    n = ev->session.subscriber.nsubscriptions;

    if (ev->session.sessions->store == NULL || n == 0) {
        return NGX_DECLINED;
    }

    h = ngx_calloc(sizeof(ngx_chat_events_history_t)
                   + n * sizeof(ngx_chat_events_history_page_t),
                   ev->session.connection->log);
    if (h == NULL) {
        return NGX_DECLINED;
    }

    if (ngx_chat_events_history_client.waiting.next == NULL) {
        ngx_chat_read_client_init(&ngx_chat_events_history_client);
    }

    h->queue = ngx_queue_head(&ev->session.subscriber.subscriptions);
    h->nchannels = n;
    h->upto = ev->at.place.mark;
    h->whole = whole;
    h->done = done;

    h->limit = whole ? NGX_CHAT_REPLAY_MAX
                     : ngx_max(NGX_CHAT_EVENTS_HISTORY_ROWS / n,
                               NGX_CHAT_EVENTS_HISTORY_LEAST);

    ev->history = h;

    if (ngx_chat_events_history_start(ev) != NGX_OK) {
        ngx_chat_events_history_free(ev);
        return NGX_DECLINED;
    }

    return NGX_OK;
}


/* Begins to read the next channel's page. */

static ngx_int_t
ngx_chat_events_history_start(ngx_chat_events_t *ev)
{
    ngx_chat_history_t          history;
    ngx_chat_subscription_t    *sn;
    ngx_chat_events_history_t  *h;

    h = ev->history;
    sn = ngx_queue_data(h->queue, ngx_chat_subscription_t, queue);

    h->pages[h->npages].channel = &sn->channel->name;

    ngx_memzero(&history, sizeof(ngx_chat_history_t));

    history.app = sn->channel->app;
    history.channel = sn->channel->name;
    history.from = NGX_CHAT_HISTORY_AFTER_e;
    history.id = ev->at.behind;
    history.limit = h->limit;
    history.with_highest = (h->upto == NGX_CHAT_EVENTS_HISTORY_ALL);

    h->read = ngx_chat_store_read_alloc(&history,
                                        ev->session.connection->log);
    if (h->read == NULL) {
        return NGX_ERROR;
    }

    h->read->client = &ngx_chat_events_history_client;
    h->read->most = h->whole ? ev->session.conf->send_buffer / 2
                             : NGX_CHAT_EVENTS_TEXT_MAX;
    h->read->render = ngx_chat_events_row_render;
    h->read->done = ngx_chat_events_history_done;
    h->read->data = ev;

    if (ngx_chat_store_read(ev->session.sessions->store, h->read) != NGX_OK) {
        h->read = NULL;
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_chat_events_history_done(ngx_chat_read_t *rd, ngx_int_t rc)
{
    ngx_chat_events_t *ev = rd->data;

    ngx_chat_events_history_t  *h;

    h = ev->history;

    if (rc == NGX_OK) {
        rc = ngx_chat_events_history_take(ev, rd);
    }

    /* its page is copied: it counts no more, and the next one may start */

    ngx_chat_store_cancel(ev->session.sessions->store, rd);
    h->read = NULL;

    if (rc == NGX_OK) {
        h->queue = ngx_queue_next(h->queue);
        h->npages++;

        if (h->queue
            != ngx_queue_sentinel(&ev->session.subscriber.subscriptions))
        {
            if (ngx_chat_events_history_start(ev) == NGX_OK) {
                return;
            }

            rc = NGX_ERROR;
        }
    }

    if (rc == NGX_OK && h->whole && !ngx_chat_events_history_is_whole(ev)) {
        rc = NGX_DECLINED;
    }

    h->done(ev, (rc == NGX_OK) ? NGX_OK : NGX_DECLINED);
}


/*
 * Copies the page, so that the store may read the next one.  Messages beyond
 * the mark come from the ring.
 */

static ngx_int_t
ngx_chat_events_history_take(ngx_chat_events_t *ev, ngx_chat_read_t *rd)
{
    size_t                           len;
    ngx_chat_events_history_t       *h;
    ngx_chat_events_history_page_t  *page;

    h = ev->history;

    /* all pages of the round are read behind this, and have what it had */

    if (h->upto == NGX_CHAT_EVENTS_HISTORY_ALL) {
        h->upto = rd->history.highest;
        ev->at.place.mark = rd->history.highest;
    }

    /* of an empty page, more_after is about its own id as well */

    if (rd->page.len == 0) {
        return NGX_OK;
    }

    if (rd->history.more_after && rd->history.last < h->upto) {
        h->upto = rd->history.last;
    }

    page = &h->pages[h->npages];
    len = h->whole ? rd->page.len : ngx_chat_events_history_cut(h, rd);

    if (len == 0) {
        return NGX_OK;
    }

    page->rows = ngx_alloc(len, ev->session.connection->log);

    if (page->rows == NULL) {
        return NGX_ERROR;
    }

    page->next = page->rows;
    page->last = ngx_cpymem(page->rows, rd->page.data, len);

    h->nrows += rd->nrows;
    h->size += len;

    /* a page that is too long ends the reading of the others */

    return (h->whole
            && (h->nrows > NGX_CHAT_REPLAY_MAX
                || h->size > ev->session.conf->send_buffer / 2))
           ? NGX_DECLINED : NGX_OK;
}


/*
 * A client that reads slowly keeps its round for long, so that is short: about
 * as long as the longest text, or one row.  Returns the length of what is kept
 * of a page.
 */

static size_t
ngx_chat_events_history_cut(ngx_chat_events_history_t *h, ngx_chat_read_t *rd)
{
    size_t                          max, size;
    u_char                         *p, *last;
    uint64_t                        id;
    ngx_chat_events_row_t           row;

    ngx_memcpy(&row, rd->page.data, sizeof(row));
    size = ngx_chat_events_row_size(&row);

    if (row.id > h->upto) {
        return 0;
    }

    if (h->size && h->size + size > NGX_CHAT_EVENTS_TEXT_MAX) {

        h->upto = row.id;

        if (ngx_chat_events_history_first(h)) {
            h->upto--;
            return 0;
        }

        /* it comes before all that there is, so that waits for a later round */

        ngx_chat_events_history_drop(h);

        return size;
    }

    id = 0;
    max = NGX_CHAT_EVENTS_TEXT_MAX / h->nchannels;
    last = rd->page.data + rd->page.len;

    for (p = rd->page.data; p < last; p += size) {
        ngx_memcpy(&row, p, sizeof(row));
        size = ngx_chat_events_row_size(&row);

        if (p > rd->page.data && (size_t) (p - rd->page.data) + size > max) {
            h->upto = ngx_min(h->upto, id);
            break;
        }

        id = row.id;
    }

    return p - rd->page.data;
}


/* Retention may have removed some while they were read. */

static ngx_uint_t
ngx_chat_events_history_is_whole(ngx_chat_events_t *ev)
{
    return ev->history->upto == ev->at.place.mark
           && ngx_chat_store_removed(ev->session.sessions->store)
              <= ev->at.behind;
}


ngx_uint_t
ngx_chat_events_history_count(ngx_chat_events_t *ev)
{
    u_char                          *p;
    ngx_uint_t                       i, n;
    ngx_chat_events_history_t       *h;
    ngx_chat_events_row_t            row;

    n = 0;
    h = ev->history;

    for (i = 0; i < h->npages; i++) {

        for (p = h->pages[i].rows;
             p && p < h->pages[i].last;
             p += ngx_chat_events_row_size(&row))
        {
            ngx_memcpy(&row, p, sizeof(row));
            n += (row.id <= h->upto);
        }
    }

    return n;
}


ngx_int_t
ngx_chat_events_history_next(ngx_chat_events_t *ev,
    ngx_chat_events_text_t **text)
{
    ngx_chat_events_text_t          *t;
    ngx_chat_events_history_t       *h;
    ngx_chat_events_history_page_t  *page;

    h = ev->history;

    if (h->npages < h->nchannels) {
        return NGX_BUSY;
    }

    t = &ngx_chat_events_history_text;
    ngx_chat_events_text_reset(t);

    while (!ngx_chat_events_text_is_full(t)) {

        page = ngx_chat_events_history_first(h);

        if (page == NULL) {
            break;
        }

        if (ngx_chat_events_history_add(ev, page) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (t->n) {
        *text = t;
        return NGX_OK;
    }

    ev->at.behind = h->upto;

    /* some of them may be in the ring, too */

    if (!ngx_chat_events_history_is_due(ev)) {
        ev->at.place.mark = 0;
    }

    ngx_chat_events_history_free(ev);

    return NGX_DONE;
}


void
ngx_chat_events_history_free(ngx_chat_events_t *ev)
{
    ngx_chat_events_history_t  *h;

    h = ev->history;

    if (h == NULL) {
        return;
    }

    ev->history = NULL;

    /* at the worker's end there is no store any more */

    if (h->read && ev->session.sessions->store) {
        ngx_chat_store_cancel(ev->session.sessions->store, h->read);
    }

    ngx_chat_events_history_drop(h);
    ngx_free(h);
}


/* Frees what was read. */

static void
ngx_chat_events_history_drop(ngx_chat_events_history_t *h)
{
    ngx_uint_t                       i;
    ngx_chat_events_history_page_t  *page;

    for (i = 0; i < h->nchannels; i++) {
        page = &h->pages[i];

        if (page->rows) {
            ngx_free(page->rows);

            page->rows = NULL;
            page->next = NULL;
            page->last = NULL;
        }
    }

    h->size = 0;
}


/* The page with the lowest id that belongs to the round; NULL: none is left. */

static ngx_chat_events_history_page_t *
ngx_chat_events_history_first(ngx_chat_events_history_t *h)
{
    uint64_t                         id, lowest;
    ngx_uint_t                       i;
    ngx_chat_events_history_page_t  *page;

    page = NULL;
    lowest = h->upto + 1;

    for (i = 0; i < h->npages; i++) {

        if (h->pages[i].next == h->pages[i].last) {
            continue;
        }

        ngx_memcpy(&id, h->pages[i].next
                        + offsetof(ngx_chat_events_row_t, id),
                   sizeof(uint64_t));

        if (id < lowest) {
            lowest = id;
            page = &h->pages[i];
        }
    }

    return page;
}


static ngx_int_t
ngx_chat_events_history_add(ngx_chat_events_t *ev,
    ngx_chat_events_history_page_t *page)
{
    u_char                          *p, buf[NGX_CHAT_EVENTS_POSITION_LEN];
    ngx_str_t                        id;
    ngx_chat_events_event_t          e;
    ngx_chat_events_position_t       position;
    ngx_chat_events_row_t            row;

    p = page->next;
    ngx_memcpy(&row, p, sizeof(row));
    p += sizeof(row);

    position.place = ev->at.place;
    position.behind = row.id;

    id.data = buf;
    id.len = ngx_chat_events_position_write(buf, ngx_chat_events_zone(ev),
                                            &position)
             - buf;

    e.channel = *page->channel;
    e.event.data = p;
    e.event.len = row.event;
    e.data.data = p + row.event;
    e.data.len = row.data;

    if (ngx_chat_events_text_add(&ngx_chat_events_history_text, ev->form, &id,
                                 &e)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    page->next = p + row.event + row.data;
    ev->at.behind = row.id;

    return NGX_OK;
}


void
ngx_chat_events_history_exit(void)
{
    ngx_free(ngx_chat_events_history_text.data);
}
