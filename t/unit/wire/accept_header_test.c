
/* sources: wire/ngx_chat_accept_header.c */

/*
 * Copyright (C) the ngx_chat_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <unit.h>
#include <wire/ngx_chat_accept_header.h>


typedef struct {
    const char        *header;
    ngx_uint_t         quality;        /* of text/plain */
    ngx_uint_t         named;
} accept_case_t;


static unit_pool_t  pool;


static accept_case_t  cases[] = {
    { "", 0, 0 },
    { "text/plain", 1000, 2 },
    { "Text/PLAIN", 1000, 2 },
    { " \ttext/plain\t ", 1000, 2 },
    { "text/*", 1000, 1 },
    { "*/*", 1000, 0 },
    { "application/json", 0, 0 },
    { "text/html", 0, 0 },
    { "text/plainer", 0, 0 },
    { "text/plai", 0, 0 },
    { "tex/*", 0, 0 },
    { "text*", 0, 0 },
    { "*", 0, 0 },
    { "a/*", 0, 0 },
    { "/*", 0, 0 },
    { "text/plain;q=0.5", 500, 2 },
    { "text/plain ; Q=0.25", 250, 2 },
    { "text/plain;q=0.123", 123, 2 },
    { "text/plain;q=0.1239", 123, 2 },
    { "text/plain;q=1", 1000, 2 },
    { "text/plain;q=1.000", 1000, 2 },
    { "text/plain;q=1.9", 1000, 2 },
    { "text/plain;q=0", 0, 2 },
    { "text/plain;q=", 1000, 2 },
    { "text/plain;q=.5", 0, 2 },
    { "text/plain;version=0.0.4;q=0.4", 400, 2 },
    { "text/plain;version=\"a;q=0.1,b\";q=0.4", 400, 2 },
    { "text/plain;version=\"a\\\";q=0.1\";q=0.4", 400, 2 },
    { "text/plain;version=\"open", 1000, 2 },
    { "*/*;q=0.9,text/*;q=0.8,text/plain;q=0.1", 100, 2 },
    { "text/plain;q=0.1,text/*;q=0.8,*/*", 100, 2 },
    { "text/*;q=0.8,*/*", 800, 1 },
    { "text/plain;v=1;q=0.3,text/plain;v=2;q=0.6", 600, 2 },
    { "text/plain;v=1;q=0.6,text/plain;v=2;q=0.3", 600, 2 },
    { ",,text/plain,", 1000, 2 },
    { ";;,;q,;q=,/,text/plain;;;q=0.7", 700, 2 },
    { "application/openmetrics-text;version=1.0.0,"
      "application/openmetrics-text;version=0.0.1;q=0.75,"
      "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", 500, 2 },
    { "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
      800, 0 },
    { NULL, 0, 0 }
};


/* Each header in memory of its own size, so that ASan sees what is behind. */

static void
test_cases(void)
{
    ngx_str_t                 header;
    accept_case_t            *c;
    ngx_chat_accept_header_t  a;

    for (c = cases; c->header; c++) {

        header.len = strlen(c->header);
        header.data = unit_alloc(&pool, header.len);
        memcpy(header.data, c->header, header.len);

        ngx_chat_accept_header_type(&a, &header, "text/plain");

        if (!CHECK_INT(a.quality, c->quality)
            || !CHECK_INT(a.named, c->named))
        {
            printf("# of \"%s\"\n", c->header);
        }
    }

    unit_pool_free(&pool);
}


/* Every beginning of a header ends somewhere. */

static void
test_beginnings(void)
{
    size_t                    len;
    ngx_str_t                 header;
    accept_case_t            *c;
    ngx_chat_accept_header_t  a;

    for (c = cases; c->header; c++) {
        for (len = 0; len < strlen(c->header); len++) {

            header.len = len;
            header.data = unit_alloc(&pool, len);
            memcpy(header.data, c->header, len);

            ngx_chat_accept_header_type(&a, &header, "text/plain");
            CHECK(a.quality <= 1000 && a.named <= 2);
        }
    }

    unit_pool_free(&pool);
}


int
main(void)
{
    RUN(test_cases);
    RUN(test_beginnings);

    return unit_done();
}
