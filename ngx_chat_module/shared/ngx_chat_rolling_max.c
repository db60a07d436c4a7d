
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The largest of many values, by two windows of time: what is older than
 * both is forgotten.  Pure.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_rolling_max.h>


void
ngx_chat_rolling_max_init(ngx_chat_rolling_max_t *max, uint64_t now)
{
    max->worst = 0;
    max->current = 0;
    max->previous = 0;
    max->began = now;
}


void
ngx_chat_rolling_max_add(ngx_chat_rolling_max_t *max, uint64_t value,
    uint64_t now)
{
    uint64_t  age;

    age = now - max->began;

    if (age >= NGX_CHAT_ROLLING_MAX_WINDOW) {
        max->previous = (age < 2 * NGX_CHAT_ROLLING_MAX_WINDOW)
                         ? max->current : 0;
        max->current = 0;
        max->began = now;
    }

    if (value > max->current) {
        max->current = value;
    }

    if (value > max->worst) {
        max->worst = value;
    }
}


uint64_t
ngx_chat_rolling_max_recent(ngx_chat_rolling_max_t *max, uint64_t now)
{
    uint64_t  age;

    /* another process's now may be a little behind */

    age = (now > max->began) ? now - max->began : 0;

    if (age >= 2 * NGX_CHAT_ROLLING_MAX_WINDOW) {
        return 0;
    }

    if (age >= NGX_CHAT_ROLLING_MAX_WINDOW) {
        return max->current;
    }

    return ngx_max(max->current, max->previous);
}
