
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What the store calls where there is chat_cluster, which these programs do not
 * have.
 */


#ifndef _NGX_CHAT_NO_CLUSTER_H_INCLUDED_
#define _NGX_CHAT_NO_CLUSTER_H_INCLUDED_


#include <store/ngx_chat_announcer.h>
#include <store/ngx_chat_back.h>
#include <store/ngx_chat_front.h>


ngx_int_t
ngx_chat_link_sh_init(ngx_chat_link_sh_t *sh)
{
    (void) sh;

    return NGX_OK;
}


void
ngx_chat_link_init(ngx_chat_link_t *l, ngx_chat_link_conf_t *conf)
{
    (void) l;
    (void) conf;

    abort();
}


void
ngx_chat_link_close(ngx_chat_link_t *l)
{
    (void) l;

    abort();
}


ngx_uint_t
ngx_chat_link_is_isolated(ngx_chat_link_conf_t *conf)
{
    (void) conf;

    abort();
}


ngx_int_t
ngx_chat_link_catch_up(ngx_chat_link_t *l, uint64_t end, uint64_t *seq,
    u_char *epoch)
{
    (void) l;
    (void) end;
    (void) seq;
    (void) epoch;

    abort();
}


void
ngx_chat_front_init(ngx_chat_front_t *f, ngx_chat_store_conf_t *conf)
{
    (void) f;
    (void) conf;
}


void
ngx_chat_front_exit(ngx_chat_front_t *f)
{
    (void) f;
}


ngx_int_t
ngx_chat_front_take(ngx_chat_front_t *f, ngx_queue_t *batch, ngx_log_t *log)
{
    (void) f;
    (void) batch;
    (void) log;

    abort();
}


ngx_chat_back_t *
ngx_chat_back_start(ngx_chat_store_conf_t *conf, ngx_cycle_t *cycle)
{
    (void) conf;
    (void) cycle;

    abort();
}


void
ngx_chat_back_leave(ngx_chat_back_t *b)
{
    (void) b;
}


void
ngx_chat_back_stop(ngx_chat_back_t *b)
{
    (void) b;
}


ngx_chat_announcer_t *
ngx_chat_announcer_start(ngx_chat_store_conf_t *conf, ngx_cycle_t *cycle)
{
    (void) conf;
    (void) cycle;

    abort();
}


void
ngx_chat_announcer_leave(ngx_chat_announcer_t *a)
{
    (void) a;
}


void
ngx_chat_announcer_stop(ngx_chat_announcer_t *a)
{
    (void) a;
}


#endif /* _NGX_CHAT_NO_CLUSTER_H_INCLUDED_ */
