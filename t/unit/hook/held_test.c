
/* sources: hook/ngx_chat_hook_held.c */

/*
 * Copyright (C) the ngx_chat_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <unit.h>
#include <hook/ngx_chat_hook_held.h>


#define MANY  20000                    /* more than there are buckets */


static ngx_chat_hook_held_list_t  list;


static void
test_order(void)
{
    ngx_str_t              a, b, nobody, ann;
    ngx_chat_hook_held_t  *held;

    a = unit_str("a");
    b = unit_str("b");
    ann = unit_str("ann");
    ngx_str_null(&nobody);

    ngx_chat_hook_held_init(&list);

    CHECK(ngx_chat_hook_held_first(&list) == NULL);

    CHECK_INT(ngx_chat_hook_held_add(&list, 1, &a, &nobody, 10, 100), NGX_OK);
    CHECK_INT(ngx_chat_hook_held_add(&list, 1, &a, &ann, 20, 200), NGX_OK);
    CHECK_INT(ngx_chat_hook_held_add(&list, 2, &a, &nobody, 30, 300), NGX_OK);
    CHECK_INT(ngx_chat_hook_held_add(&list, 1, &b, &nobody, 40, 400), NGX_OK);

    /* the first time counts */
    CHECK_INT(ngx_chat_hook_held_add(&list, 1, &a, &nobody, 50, 500), NGX_OK);
    CHECK_INT(list.n, 4);

    held = ngx_chat_hook_held_first(&list);
    CHECK_INT(held->due, 10);
    CHECK_INT(held->position, 100);
    CHECK_STR(held->channel, "a");
    CHECK_INT(held->user.len, 0);

    CHECK_INT(ngx_chat_hook_held_drop(&list, 1, &a, &nobody), 1);
    CHECK_INT(ngx_chat_hook_held_drop(&list, 1, &a, &nobody), 0);
    CHECK_INT(ngx_chat_hook_held_drop(&list, 3, &b, &nobody), 0);

    held = ngx_chat_hook_held_first(&list);
    CHECK_INT(held->due, 20);
    CHECK_STR(held->user, "ann");

    /* from the middle */
    CHECK_INT(ngx_chat_hook_held_drop(&list, 2, &a, &nobody), 1);
    CHECK_INT(ngx_chat_hook_held_drop(&list, 1, &a, &ann), 1);

    held = ngx_chat_hook_held_first(&list);
    CHECK_INT(held->due, 40);

    ngx_chat_hook_held_clear(&list);
    CHECK_INT(list.n, 0);
    CHECK(ngx_chat_hook_held_first(&list) == NULL);
}


/* "ab" of "c" is not "a" of "bc". */

static void
test_names(void)
{
    ngx_str_t  a, ab, bc, c;

    a = unit_str("a");
    ab = unit_str("ab");
    bc = unit_str("bc");
    c = unit_str("c");

    ngx_chat_hook_held_init(&list);

    CHECK_INT(ngx_chat_hook_held_add(&list, 1, &ab, &c, 1, 1), NGX_OK);
    CHECK_INT(ngx_chat_hook_held_drop(&list, 1, &a, &bc), 0);
    CHECK_INT(ngx_chat_hook_held_drop(&list, 1, &ab, &c), 1);
}


static void
test_many(void)
{
    char                   name[32];
    ngx_str_t              channel, user;
    ngx_uint_t             i, dropped;
    ngx_chat_hook_held_t  *held;

    channel = unit_str("presence-room");

    ngx_chat_hook_held_init(&list);

    for (i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "u%d", (int) i);
        user = unit_str(name);
        (void) ngx_chat_hook_held_add(&list, 1, &channel, &user, i, i);
    }

    CHECK_INT(list.n, MANY);

    dropped = 0;

    for (i = 1; i < MANY; i += 2) {
        snprintf(name, sizeof(name), "u%d", (int) i);
        user = unit_str(name);
        dropped += ngx_chat_hook_held_drop(&list, 1, &channel, &user);
    }

    CHECK_INT(dropped, MANY / 2);

    for (i = 0; i < MANY; i += 2) {
        held = ngx_chat_hook_held_first(&list);

        if (held->due != i) {
            CHECK_INT(held->due, i);
            break;
        }

        (void) ngx_chat_hook_held_drop(&list, 1, &held->channel, &held->user);
    }

    CHECK_INT(list.n, 0);
}


int
main(void)
{
    RUN(test_order);
    RUN(test_names);
    RUN(test_many);

    return unit_done();
}
