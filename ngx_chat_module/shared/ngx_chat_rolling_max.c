
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
ngx_chat_rolling_max_init(ngx_chat_rolling_max_t *peak, uint64_t now)
{
    peak->worst = 0;
    peak->current = 0;
    peak->previous = 0;
    peak->began = now;
}


void
ngx_chat_rolling_max_add(ngx_chat_rolling_max_t *peak, uint64_t value,
    uint64_t now)
{
    uint64_t  age;

    age = now - peak->began;

    if (age >= NGX_CHAT_ROLLING_MAX_WINDOW) {
        peak->previous = (age < 2 * NGX_CHAT_ROLLING_MAX_WINDOW)
                         ? peak->current : 0;
        peak->current = 0;
        peak->began = now;
    }

    if (value > peak->current) {
        peak->current = value;
    }

    if (value > peak->worst) {
        peak->worst = value;
    }
}


uint64_t
ngx_chat_rolling_max_recent(ngx_chat_rolling_max_t *peak, uint64_t now)
{
    uint64_t  age;

    /* another process's now may be a little behind */

    age = (now > peak->began) ? now - peak->began : 0;

    if (age >= 2 * NGX_CHAT_ROLLING_MAX_WINDOW) {
        return 0;
    }

    if (age >= NGX_CHAT_ROLLING_MAX_WINDOW) {
        return peak->current;
    }

    return ngx_max(peak->current, peak->previous);
}
