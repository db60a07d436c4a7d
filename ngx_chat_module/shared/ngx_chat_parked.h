
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Parked token sessions: those whose clients are away.  Each app has a list of
 * them, in the order in which they were parked.
 *
 * All of them together have a bounded part of the arena, and each app an even
 * part of that.  An app may have more as long as there is room; where there is
 * none, its own longest parked go, or those of an app that has more than its
 * part.
 *
 * The caller holds the zone's lock.
 */


#ifndef _NGX_CHAT_PARKED_H_INCLUDED_
#define _NGX_CHAT_PARKED_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_zone.h>


/* Moves a session from its slot's list to its app's. */
void ngx_chat_parked_add(ngx_chat_zone_t *zone, ngx_chat_token_sh_t *t);

/* Takes a session out of its list, be it parked or not. */
void ngx_chat_parked_unlist(ngx_chat_zone_t *zone, ngx_chat_token_sh_t *t);

/*
 * The session that has to go since too many are parked, where the app of that
 * share has parked one; NULL: none.
 */
ngx_chat_token_sh_t *ngx_chat_parked_excess(ngx_chat_zone_sh_t *sh,
    ngx_chat_share_sh_t *share);


#endif /* _NGX_CHAT_PARKED_H_INCLUDED_ */
