
/* sources: wire/ngx_chat_metrics.c */

/*
 * Copyright (C) the ngx_chat_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <unit.h>
#include <wire/ngx_chat_metrics.h>


static unit_pool_t  pool;


static void
check_number(uint64_t n, uint64_t unit, const char *expected)
{
    char  buf[NGX_CHAT_METRICS_NUMBER];

    if (!CHECK(strcmp(ngx_chat_metrics_number(buf, n, unit), expected) == 0))
    {
        printf("# %s\n", expected);
    }
}


static void
test_numbers(void)
{
    check_number(0, 1, "0");
    check_number(7, 1, "7");
    check_number(18446744073709551615u, 1, "18446744073709551615");
    check_number(0, 1000000, "0");
    check_number(1, 1000000, "0.000001");
    check_number(500, 1000000, "0.0005");
    check_number(250000, 1000000, "0.25");
    check_number(1000000, 1000000, "1");
    check_number(1000001, 1000000, "1.000001");
    check_number(10500000, 1000000, "10.5");
    check_number(10, 1000, "0.01");
    check_number(1050, 1000, "1.05");
    check_number(100000, 1000, "100");
    check_number(18446744073709551615u, 1000000, "18446744073709.551615");
}


static void
write_all(ngx_chat_metrics_t *m)
{
    ngx_chat_metrics_begin(m, "a_total", "counter", "What a is.");
    ngx_chat_metrics_sample(m, "", "why", "x", 1);
    ngx_chat_metrics_sample(m, "", "why", "y", 20);

    ngx_chat_metrics_begin(m, "b_seconds", "histogram", "What b is.");
    ngx_chat_metrics_sample(m, "_bucket", "le", "+Inf", 3);
    ngx_chat_metrics_sample_part(m, "_sum", NULL, NULL, 1500, 1000);
    ngx_chat_metrics_sample(m, "_count", NULL, NULL, 3);
}


static void
test_text(void)
{
    size_t              len;
    u_char             *buf;
    ngx_chat_metrics_t  m;

    ngx_chat_metrics_init(&m, NULL, 0);
    write_all(&m);
    len = ngx_chat_metrics_done(&m);

    buf = unit_alloc(&pool, len);

    ngx_chat_metrics_init(&m, buf, len);
    write_all(&m);

    CHECK_INT(ngx_chat_metrics_done(&m), len);
    CHECK_BYTES(buf, len,
                "# HELP a_total What a is.\n"
                "# TYPE a_total counter\n"
                "a_total{why=\"x\"} 1\n"
                "a_total{why=\"y\"} 20\n"
                "# HELP b_seconds What b is.\n"
                "# TYPE b_seconds histogram\n"
                "b_seconds_bucket{le=\"+Inf\"} 3\n"
                "b_seconds_sum 1.5\n"
                "b_seconds_count 3\n");

    unit_pool_free(&pool);
}


/* A buffer that is too small is not written beyond, and the length says so. */

static void
test_small(void)
{
    size_t              len, size;
    u_char             *buf;
    ngx_chat_metrics_t  m;

    ngx_chat_metrics_init(&m, NULL, 0);
    write_all(&m);
    len = ngx_chat_metrics_done(&m);

    for (size = 0; size < len; size++) {
        buf = unit_alloc(&pool, size);

        ngx_chat_metrics_init(&m, buf, size);
        write_all(&m);

        CHECK_INT(ngx_chat_metrics_done(&m), len);
    }

    unit_pool_free(&pool);
}


int
main(void)
{
    RUN(test_numbers);
    RUN(test_text);
    RUN(test_small);

    return unit_done();
}
