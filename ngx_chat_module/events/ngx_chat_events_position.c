
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Positions as texts: hexadecimal numbers with "-" between them.  The last one
 * is the signature.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <events/ngx_chat_events_position.h>


#define NGX_CHAT_EVENTS_POSITION_PARTS  4


/* What is signed: no member is padding. */

typedef struct {
    uint64_t                 purpose;      /* the key is used for names, too */
    uint64_t                 position;
    uint64_t                 mark;
    uint64_t                 behind;
    uint64_t                 generation;   /* the zone's: its index lacks what
                                              was appended before a wipe */
    uint64_t                 renewed;      /* ids of another database are not
                                              these */
} ngx_chat_events_position_signed_t;


static uint64_t ngx_chat_events_position_sign(ngx_chat_zone_t *zone,
    ngx_chat_events_position_t *position);
static ngx_int_t ngx_chat_events_position_number(u_char **p, u_char *last,
    uint64_t *n);


u_char *
ngx_chat_events_position_write(u_char *p, ngx_chat_zone_t *zone,
    ngx_chat_events_position_t *position)
{
    return ngx_sprintf(p, "%xL-%xL-%xL-%xL", position->place.position,
                       position->place.mark, position->behind,
                       ngx_chat_events_position_sign(zone, position));
}


ngx_int_t
ngx_chat_events_position_read(ngx_chat_events_position_t *position,
    ngx_chat_zone_t *zone, ngx_str_t *text)
{
    u_char      *p, *last;
    uint64_t     numbers[NGX_CHAT_EVENTS_POSITION_PARTS];
    ngx_uint_t   i;

    p = text->data;
    last = p + text->len;

    for (i = 0; i < NGX_CHAT_EVENTS_POSITION_PARTS; i++) {

        if (i && (p == last || *p++ != '-')) {
            return NGX_DECLINED;
        }

        if (ngx_chat_events_position_number(&p, last, &numbers[i]) != NGX_OK) {
            return NGX_DECLINED;
        }
    }

    position->place.position = numbers[0];
    position->place.mark = numbers[1];
    position->behind = numbers[2];

    if (p != last
        || numbers[3] != ngx_chat_events_position_sign(zone, position))
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


void
ngx_chat_events_position_mark(ngx_chat_events_position_t *position,
    uint64_t id)
{
    if (id >= position->behind) {
        position->place.mark = id;
        position->behind = id;
    }
}


static uint64_t
ngx_chat_events_position_sign(ngx_chat_zone_t *zone,
    ngx_chat_events_position_t *position)
{
    ngx_chat_events_position_signed_t  s;

    s.purpose = 0x706f736974696f6e;
    s.position = position->place.position;
    s.mark = position->place.mark;
    s.behind = position->behind;
    s.generation = zone->sh->generation;
    s.renewed = zone->sh->renewed;

    return ngx_chat_hash(&zone->sh->key, (u_char *) &s, sizeof(s));
}


/* 1 to 16 digits, as ngx_sprintf() writes them. */

static ngx_int_t
ngx_chat_events_position_number(u_char **p, u_char *last, uint64_t *n)
{
    u_char  *start;

    *n = 0;
    start = *p;

    for ( /* void */ ; *p < last && *p - start < 16; (*p)++) {

        if (**p >= '0' && **p <= '9') {
            *n = *n * 16 + (**p - '0');

        } else if (**p >= 'a' && **p <= 'f') {
            *n = *n * 16 + (**p - 'a' + 10);

        } else {
            break;
        }
    }

    return (*p == start) ? NGX_ERROR : NGX_OK;
}
