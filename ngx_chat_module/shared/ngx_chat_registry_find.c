
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Looking into the registry: a channel, and how many subscribe to it.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_registry.h>


ngx_chat_channel_sh_t *
ngx_chat_registry_find(ngx_chat_zone_t *zone, uint64_t app, uint32_t hash,
    ngx_str_t *name)
{
    ngx_chat_channel_sh_t  *ch;

    for (ch = zone->sh->channels[hash & zone->sh->mask]; ch; ch = ch->next) {

        if (ch->hash == hash
            && ch->app == app
            && ch->len == name->len
            && ngx_memcmp(ch->name, name->data, name->len) == 0)
        {
            return ch;
        }
    }

    return NULL;
}


ngx_uint_t
ngx_chat_registry_has(ngx_chat_zone_t *zone, uint64_t app, ngx_str_t *name)
{
    ngx_chat_channel_sh_t  *ch;

    ch = ngx_chat_registry_find(zone, app,
                                ngx_chat_registry_hash(zone, app, name),
                                name);

    /* a worker that died as it subscribed may have left an empty share */

    return ch != NULL && ngx_chat_registry_total(ch) != 0;
}


ngx_uint_t
ngx_chat_registry_total(ngx_chat_channel_sh_t *ch)
{
    ngx_uint_t            n;
    ngx_chat_share_sh_t  *sh;

    n = 0;

    for (sh = ch->shares; sh; sh = sh->next) {
        n += sh->subscriptions;
    }

    return n;
}


uint32_t
ngx_chat_registry_hash(ngx_chat_zone_t *zone, uint64_t app, ngx_str_t *name)
{
    return (uint32_t) ngx_chat_hash(&zone->sh->key, name->data, name->len)
           ^ (uint32_t) (app * 2654435761u);
}
