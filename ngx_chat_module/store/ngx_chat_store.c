
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The store of one worker: its writer, its readers, its maintenance.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_mutex.h>
#include <store/ngx_chat_announcer.h>
#include <store/ngx_chat_back.h>
#include <store/ngx_chat_maintenance.h>
#include <store/ngx_chat_store.h>


struct ngx_chat_store_s {
    ngx_chat_store_conf_t   *conf;
    ngx_chat_maintenance_t   maintenance;
    ngx_chat_writer_t        writer;
    ngx_chat_readers_t       readers;
    ngx_chat_back_t         *back;         /* NULL: no chat_cluster */
    ngx_chat_announcer_t    *announcer;    /* the same */
};


static void ngx_chat_store_stale(void *data);
static u_char *ngx_chat_store_copy(ngx_str_t *dst, ngx_str_t *src, u_char *p);


ngx_int_t
ngx_chat_store_init_shared(ngx_chat_store_sh_t *sh)
{
    ngx_memzero(sh, sizeof(ngx_chat_store_sh_t));

    return (ngx_chat_link_sh_init(&sh->link) == NGX_OK)
           ? ngx_chat_mutex_init(&sh->write_lock) : NGX_ERROR;
}


ngx_chat_store_t *
ngx_chat_store_init(ngx_chat_store_conf_t *conf, ngx_cycle_t *cycle)
{
    ngx_chat_store_t  *st;

    st = ngx_pcalloc(cycle->pool, sizeof(ngx_chat_store_t));
    if (st == NULL) {
        return NULL;
    }

    st->conf = conf;

    st->maintenance.stale = ngx_chat_store_stale;
    st->maintenance.data = st;

    if (pthread_mutex_init(&conf->handles.mutex, NULL) != 0
        || ngx_chat_writer_init(&st->writer, conf, cycle) != NGX_OK
        || ngx_chat_reader_init(&st->readers, conf, cycle) != NGX_OK
        || ngx_chat_maintenance_init(&st->maintenance, conf, cycle) != NGX_OK)
    {
        return NULL;
    }

    if (conf->link) {
        st->back = ngx_chat_back_start(conf, cycle);
        st->announcer = ngx_chat_announcer_start(conf, cycle);

        if (st->back == NULL || st->announcer == NULL) {
            return NULL;
        }
    }

    return st;
}


ngx_chat_link_conf_t *
ngx_chat_store_link(ngx_chat_store_t *st)
{
    return st->conf->link;
}


ngx_uint_t
ngx_chat_store_is_isolated(ngx_chat_store_t *st)
{
    return st->conf->link && ngx_chat_link_is_isolated(st->conf->link);
}


void
ngx_chat_store_leave(ngx_chat_store_t *st)
{
    ngx_chat_announcer_leave(st->announcer);
    ngx_chat_back_leave(st->back);
}


/*
 * Files were removed or replaced, and idle handles still have the old ones
 * open.  The process can't open the new files before it has closed these.
 */

static void
ngx_chat_store_stale(void *data)
{
    ngx_chat_store_t *st = data;

    ngx_chat_writer_check(&st->writer);
    ngx_chat_reader_check(&st->readers);
}


void
ngx_chat_store_exit(ngx_chat_store_t *st)
{
    ngx_chat_announcer_stop(st->announcer);
    ngx_chat_back_stop(st->back);
    ngx_chat_maintenance_exit(&st->maintenance);
    ngx_chat_reader_exit(&st->readers);
    ngx_chat_writer_exit(&st->writer);
    (void) pthread_mutex_destroy(&st->conf->handles.mutex);
}


ngx_chat_write_t *
ngx_chat_store_write_alloc(ngx_chat_record_t *rec, ngx_log_t *log)
{
    u_char            *p;
    ngx_chat_write_t  *w;

    w = ngx_alloc(sizeof(ngx_chat_write_t) + rec->channel.len
                  + rec->event.len + rec->content.len + rec->author.len, log);
    if (w == NULL) {
        return NULL;
    }

    ngx_memzero(w, sizeof(ngx_chat_write_t));

    w->record.kind = rec->kind;
    w->record.app = rec->app;
    w->record.keyed = rec->keyed;
    ngx_memcpy(w->record.key, rec->key, NGX_CHAT_KEYS_LEN);

    p = (u_char *) w + sizeof(ngx_chat_write_t);
    p = ngx_chat_store_copy(&w->record.channel, &rec->channel, p);
    p = ngx_chat_store_copy(&w->record.event, &rec->event, p);
    p = ngx_chat_store_copy(&w->record.content, &rec->content, p);
    (void) ngx_chat_store_copy(&w->record.author, &rec->author, p);

    return w;
}


ngx_int_t
ngx_chat_store_write(ngx_chat_store_t *st, ngx_chat_write_t *w)
{
    return ngx_chat_writer_add(&st->writer, w);
}


ngx_chat_read_t *
ngx_chat_store_read_alloc(ngx_chat_history_t *h, ngx_log_t *log)
{
    ngx_chat_read_t  *rd;

    rd = ngx_alloc(sizeof(ngx_chat_read_t) + h->channel.len, log);
    if (rd == NULL) {
        return NULL;
    }

    ngx_memzero(rd, sizeof(ngx_chat_read_t));

    rd->history = *h;

    (void) ngx_chat_store_copy(&rd->history.channel, &h->channel,
                               (u_char *) rd + sizeof(ngx_chat_read_t));

    return rd;
}


ngx_int_t
ngx_chat_store_read(ngx_chat_store_t *st, ngx_chat_read_t *rd)
{
    return ngx_chat_reader_add(&st->readers, rd);
}


void
ngx_chat_store_cancel(ngx_chat_store_t *st, ngx_chat_read_t *rd)
{
    ngx_chat_reader_cancel(&st->readers, rd);
}


uint64_t
ngx_chat_store_removed(ngx_chat_store_t *st)
{
    return ngx_chat_store_get(&st->conf->sh->removed);
}


void
ngx_chat_store_release(ngx_chat_store_t *st, ngx_chat_read_client_t *client,
    ngx_str_t *page)
{
    ngx_chat_reader_release(&st->readers, client, page);
}


static u_char *
ngx_chat_store_copy(ngx_str_t *dst, ngx_str_t *src, u_char *p)
{
    dst->len = src->len;
    dst->data = p;

    return src->len ? ngx_cpymem(p, src->data, src->len) : p;
}
