
/* sources: store/ngx_chat_history.c store/ngx_chat_batch.c */
/* sources: store/ngx_chat_keys.c */
/* sources: store/ngx_chat_db*.c store/ngx_chat_migration.c */
/* sources: wire/ngx_chat_clock.c libs: -lsqlite3 */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Pages, and whether there is more around them.
 */


#include "store.h"

#include <store/ngx_chat_history.h>


#define ROWS  16


/* The ids that row() was given; it takes at most max of them. */
typedef struct {
    uint64_t           ids[ROWS];
    ngx_uint_t         n;
    ngx_uint_t         max;
    ngx_int_t          status;         /* given back at max */
} rows_t;


static ngx_int_t
row(void *data, ngx_chat_record_t *rec)
{
    rows_t  *rows = data;

    if (rows->n == rows->max) {
        return rows->status;
    }

    rows->ids[rows->n++] = rec->id;

    return NGX_OK;
}


/* Ids as text, "5 3 1", for a comparison that is easily read. */
static const char *
rows_text(rows_t *rows)
{
    size_t       len;
    ngx_uint_t   i;
    static char  text[ROWS * 8];

    len = 0;
    text[0] = '\0';

    for (i = 0; i < rows->n; i++) {
        len += (size_t) snprintf(text + len, sizeof(text) - len, "%s%lu",
                                 i ? " " : "", (unsigned long) rows->ids[i]);
    }

    return text;
}


static ngx_int_t
page(ngx_chat_db_t *db, ngx_chat_history_t *h, rows_t *rows,
    ngx_chat_history_from_e from, uint64_t id, ngx_uint_t limit)
{
    ngx_int_t  rc;

    rows->n = 0;

    memset(h, 0xff, sizeof(ngx_chat_history_t));

    h->app = 1;
    h->channel = unit_str("chat");
    h->from = from;
    h->id = id;
    h->limit = limit;
    h->row = row;
    h->data = rows;

    rc = ngx_chat_history_read(db, h);

    CHECK(store_idle(db));

    return rc;
}


/*
 * Reads a page and checks all that came back: ids in order; then the flags,
 * 'b' for more before, 'a' for more after.
 */
static void
expect(ngx_chat_db_t *db, ngx_chat_history_from_e from, uint64_t id,
    ngx_uint_t limit, const char *ids, const char *more, int line)
{
    char                got[8];
    rows_t              rows;
    uint64_t            first, last;
    ngx_uint_t          i, ok;
    ngx_chat_history_t  h;

    rows.max = ROWS;

    ok = (page(db, &h, &rows, from, id, limit) == NGX_OK);

    first = rows.n ? UINT64_MAX : 0;
    last = 0;

    for (i = 0; i < rows.n; i++) {
        first = ngx_min(first, rows.ids[i]);
        last = ngx_max(last, rows.ids[i]);
    }

    (void) snprintf(got, sizeof(got), "%s%s", h.more_before ? "b" : "",
                    h.more_after ? "a" : "");

    if (!ok || strcmp(rows_text(&rows), ids) != 0 || strcmp(got, more) != 0
        || h.first != first || h.last != last)
    {
        printf("# line %d: \"%s\" %s %lu..%lu, expected \"%s\" %s; %s\n",
               line, rows_text(&rows), got, (unsigned long) h.first,
               (unsigned long) h.last, ids, more, db->error);
        CHECK(0);
    }
}


#define NEWEST(limit, ids, more)                                              \
    expect(&db, NGX_CHAT_HISTORY_NEWEST_e, 0, limit, ids, more, __LINE__)

#define AFTER(id, limit, ids, more)                                           \
    expect(&db, NGX_CHAT_HISTORY_AFTER_e, id, limit, ids, more, __LINE__)

#define BEFORE(id, limit, ids, more)                                          \
    expect(&db, NGX_CHAT_HISTORY_BEFORE_e, id, limit, ids, more, __LINE__)


/*
 * Ids 1..10 of which the even ones, but 8, are of our channel: 2 4 6 10.
 * The others differ in the channel, or in the app only.
 */
static void
fill(ngx_chat_db_t *db)
{
    uint64_t  id;

    CHECK_INT(store_open(db, 1000, 1), NGX_OK);

    for (id = 1; id <= 10; id++) {

        if (id == 8) {
            CHECK_INT(store_add(db, 2, "chat", "x"), id);

        } else {
            CHECK_INT(store_add(db, 1, id % 2 ? "chat2" : "chat", "x"), id);
        }
    }
}


static void
test_newest(void)
{
    ngx_chat_db_t  db;

    store_setup();
    fill(&db);

    NEWEST(1, "10", "b");
    NEWEST(3, "10 6 4", "b");
    NEWEST(4, "10 6 4 2", "");
    NEWEST(5, "10 6 4 2", "");
    NEWEST(1000, "10 6 4 2", "");

    ngx_chat_db_close(&db);
    store_teardown();
}


static void
test_after(void)
{
    ngx_chat_db_t  db;

    store_setup();
    fill(&db);

    AFTER(0, 1, "2", "a");
    AFTER(0, 4, "2 4 6 10", "");
    AFTER(0, 100, "2 4 6 10", "");
    AFTER(1, 2, "2 4", "a");
    AFTER(2, 2, "4 6", "ba");
    AFTER(4, 2, "6 10", "b");
    AFTER(7, 2, "10", "b");

    /* empty: at or below, at or above */
    AFTER(10, 2, "", "ba");
    AFTER(11, 2, "", "b");
    AFTER(INT64_MAX, 2, "", "b");
    AFTER(UINT64_MAX, 2, "", "b");

    ngx_chat_db_close(&db);
    store_teardown();
}


static void
test_before(void)
{
    ngx_chat_db_t  db;

    store_setup();
    fill(&db);

    BEFORE(INT64_MAX, 2, "10 6", "b");
    BEFORE(UINT64_MAX, 4, "10 6 4 2", "");
    BEFORE(11, 1, "10", "b");
    BEFORE(10, 2, "6 4", "ba");
    BEFORE(7, 2, "6 4", "ba");
    BEFORE(6, 2, "4 2", "a");
    BEFORE(3, 2, "2", "a");

    /* empty */
    BEFORE(2, 2, "", "ba");
    BEFORE(1, 2, "", "a");
    BEFORE(0, 2, "", "a");

    ngx_chat_db_close(&db);
    store_teardown();
}


static void
test_empty_channel(void)
{
    ngx_chat_db_t  db;

    store_setup();
    CHECK_INT(store_open(&db, 1000, 1), NGX_OK);

    NEWEST(10, "", "");
    AFTER(0, 10, "", "");
    BEFORE(5, 10, "", "");

    ngx_chat_db_close(&db);
    store_teardown();
}


/* row() ends the page where its buffer is full. */
/* The highest id is that of all channels and apps, where it is asked for. */

static void
test_highest(void)
{
    rows_t              rows;
    ngx_chat_db_t       db;
    ngx_chat_history_t  h;

    store_setup();

    CHECK_INT(store_open(&db, 1000, 1), NGX_OK);

    rows.max = ROWS;

    CHECK_INT(page(&db, &h, &rows, NGX_CHAT_HISTORY_AFTER_e, 0, 10), NGX_OK);
    CHECK_INT(h.highest, 0);

    ngx_chat_db_close(&db);
    store_teardown();

    store_setup();
    fill(&db);

    CHECK_INT(page(&db, &h, &rows, NGX_CHAT_HISTORY_AFTER_e, 0, 1), NGX_OK);
    CHECK_INT(h.last, 2);
    CHECK_INT(h.highest, 10);

    CHECK_INT(store_add(&db, 2, "elsewhere", "x"), 11);

    CHECK_INT(page(&db, &h, &rows, NGX_CHAT_HISTORY_NEWEST_e, 0, 1), NGX_OK);
    CHECK_INT(h.last, 10);
    CHECK_INT(h.highest, 11);

    h.highest = 7;
    h.with_highest = 0;

    CHECK_INT(ngx_chat_history_read(&db, &h), NGX_OK);
    CHECK_INT(h.highest, 7);

    ngx_chat_db_close(&db);
    store_teardown();
}


static void
test_row_is_full(void)
{
    rows_t              rows;
    ngx_chat_db_t       db;
    ngx_chat_history_t  h;

    store_setup();
    fill(&db);

    rows.status = NGX_DONE;
    rows.max = 2;

    CHECK_INT(page(&db, &h, &rows, NGX_CHAT_HISTORY_NEWEST_e, 0, 10), NGX_OK);
    CHECK(strcmp(rows_text(&rows), "10 6") == 0);
    CHECK_INT(h.first, 6);
    CHECK_INT(h.last, 10);
    CHECK(h.more_before);
    CHECK(!h.more_after);

    CHECK_INT(page(&db, &h, &rows, NGX_CHAT_HISTORY_AFTER_e, 0, 10), NGX_OK);
    CHECK(strcmp(rows_text(&rows), "2 4") == 0);
    CHECK_INT(h.last, 4);
    CHECK(!h.more_before);
    CHECK(h.more_after);

    CHECK(h.is_full);

    rows.max = 0;

    CHECK_INT(page(&db, &h, &rows, NGX_CHAT_HISTORY_NEWEST_e, 0, 10), NGX_OK);
    CHECK_INT(h.first, 0);
    CHECK(h.more_before);
    CHECK(!h.more_after);

    /* and where it fails, the database is not to blame */

    rows.status = NGX_ERROR;
    (void) strcpy(db.error, "old");

    CHECK_INT(page(&db, &h, &rows, NGX_CHAT_HISTORY_NEWEST_e, 0, 10),
              NGX_ERROR);
    CHECK(db.error[0] == '\0');

    /* nobody wants the rest any more */

    rows.status = NGX_ABORT;
    rows.max = 1;

    CHECK_INT(page(&db, &h, &rows, NGX_CHAT_HISTORY_NEWEST_e, 0, 10),
              NGX_ABORT);
    CHECK(strcmp(rows_text(&rows), "10") == 0);

    rows.max = ROWS;
    CHECK_INT(page(&db, &h, &rows, NGX_CHAT_HISTORY_NEWEST_e, 0, 10), NGX_OK);

    ngx_chat_db_close(&db);
    store_teardown();
}


/* A page that ends at an id, whatever is behind it. */

static void
test_to(void)
{
    rows_t              rows;
    ngx_uint_t          to;
    ngx_chat_db_t       db;
    ngx_chat_history_t  h;

    static const char *const  ids[] = { "2", "2", "2 4", "2 4", "2 4 6" };

    store_setup();
    fill(&db);

    for (to = 2; to <= 6; to++) {
        memset(&h, 0, sizeof(ngx_chat_history_t));
        memset(&rows, 0, sizeof(rows_t));

        rows.max = ROWS;

        h.app = 1;
        h.channel = unit_str("chat");
        h.from = NGX_CHAT_HISTORY_AFTER_e;
        h.limit = 10;
        h.to = to;
        h.row = row;
        h.data = &rows;

        CHECK_INT(ngx_chat_history_read(&db, &h), NGX_OK);
        CHECK(strcmp(rows_text(&rows), ids[to - 2]) == 0);
        CHECK(!h.is_full);
        CHECK(store_idle(&db));
    }

    ngx_chat_db_close(&db);
    store_teardown();
}


static u_char  test_content[] = "\0nul \0 \xe2\x82\xac \xf0\x9f\x98\x80\0";
static ngx_uint_t  test_rows;


static ngx_int_t
check_row(void *data, ngx_chat_record_t *rec)
{
    (void) data;
    test_rows++;

    CHECK_INT(rec->app, UINT64_MAX);
    CHECK_STR(rec->channel, "room;x");
    CHECK_STR(rec->event, "new_message");

    if (rec->id == 1) {
        CHECK_INT(rec->content.len, sizeof(test_content) - 1);
        CHECK(memcmp(rec->content.data, test_content,
                     sizeof(test_content) - 1)
              == 0);
        CHECK_INT(rec->author.len, 0);
        CHECK_INT(rec->created, STORE_NOW);
        CHECK_INT(rec->updated, STORE_NOW);

    } else {
        CHECK_INT(rec->content.len, 0);
        CHECK_STR(rec->author, "J\xc3\xbcrgen");
    }

    return NGX_OK;
}


static void
test_columns(void)
{
    ngx_chat_db_t       db;
    ngx_chat_record_t   rec;
    ngx_chat_history_t  h;

    store_setup();
    CHECK_INT(store_open(&db, 1000, 1), NGX_OK);
    CHECK_INT(ngx_chat_batch_begin(&db), NGX_OK);

    store_record(&rec, UINT64_MAX, "room;x", "");
    rec.content.data = test_content;
    rec.content.len = sizeof(test_content) - 1;
    CHECK_INT(ngx_chat_batch_insert(&db, &rec, STORE_NOW), NGX_OK);

    store_record(&rec, UINT64_MAX, "room;x", "");
    rec.author = unit_str("J\xc3\xbcrgen");
    CHECK_INT(ngx_chat_batch_insert(&db, &rec, STORE_NOW), NGX_OK);
    CHECK_INT(ngx_chat_batch_commit(&db), NGX_OK);

    memset(&h, 0, sizeof(ngx_chat_history_t));

    h.app = UINT64_MAX;
    h.channel = unit_str("room;x");
    h.limit = 10;
    h.row = check_row;

    test_rows = 0;
    CHECK_INT(ngx_chat_history_read(&db, &h), NGX_OK);
    CHECK_INT(test_rows, 2);

    ngx_chat_db_close(&db);
    store_teardown();
}


static void
test_since(void)
{
    rows_t         rows;
    uint64_t       id;
    ngx_uint_t     i;
    ngx_chat_db_t  db;

    static struct {
        uint64_t     id;
        const char  *ids;
    } cases[] = {
        { 0, "1 2 3 4 5 6 7 8 9 10" },
        { 7, "8 9 10" },
        { 10, "" },
        { UINT64_MAX, "" }
    };

    store_setup();
    fill(&db);

    rows.max = ROWS;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        rows.n = 0;
        CHECK_INT(ngx_chat_history_since(&db, cases[i].id, row, &rows),
                  NGX_OK);
        CHECK(strcmp(rows_text(&rows), cases[i].ids) == 0);
        CHECK(store_idle(&db));
    }

    /* row() ends it */

    rows.n = 0;
    rows.max = 2;
    rows.status = NGX_DONE;
    CHECK_INT(ngx_chat_history_since(&db, 3, row, &rows), NGX_OK);
    CHECK(strcmp(rows_text(&rows), "4 5") == 0);
    CHECK(store_idle(&db));

    rows.n = 0;
    rows.status = NGX_ERROR;
    CHECK_INT(ngx_chat_history_since(&db, 3, row, &rows), NGX_ERROR);
    CHECK(db.error[0] == '\0');
    CHECK(store_idle(&db));

    /* within a batch, which it leaves open */

    rows.n = 0;
    rows.max = ROWS;
    CHECK_INT(ngx_chat_batch_begin(&db), NGX_OK);
    CHECK_INT(ngx_chat_history_since(&db, 8, row, &rows), NGX_OK);
    CHECK(strcmp(rows_text(&rows), "9 10") == 0);
    CHECK_INT(ngx_chat_batch_commit(&db), NGX_OK);

    id = store_add(&db, 1, "chat", "x");
    CHECK_INT(id, 11);

    ngx_chat_db_close(&db);
    store_teardown();
}


/* What webhooks gave up, of one app, with all that is told of it. */

static ngx_int_t
dead_row(void *data, ngx_chat_record_t *rec)
{
    char  *text = data;

    (void) snprintf(text, 128, "%lu %.*s %.*s %.*s %lu %ld %ld",
                    (unsigned long) rec->id,
                    (int) rec->channel.len, (char *) rec->channel.data,
                    (int) rec->content.len, (char *) rec->content.data,
                    (int) rec->author.len, (char *) rec->author.data,
                    (unsigned long) rec->kind, (long) rec->created,
                    (long) rec->updated);

    return NGX_OK;
}


static void
test_dead(void)
{
    char                text[128];
    ngx_chat_db_t       db;
    ngx_chat_history_t  h;

    store_setup();
    CHECK_INT(store_open(&db, 0, 1), NGX_OK);

#define DEAD(id, limit, ids, more)                                            \
    expect(&db, NGX_CHAT_HISTORY_DEAD_e, id, limit, ids, more, __LINE__)

    DEAD(INT64_MAX, 2, "", "");

    CHECK(store_exec(db.handle,
        "INSERT INTO webhooks VALUES (-5, 1, 'http://a'), (6, 1, 'http://b'),"
        " (7, 2, 'http://c');"
        "INSERT INTO webhook_events (app, webhook, created_at, event, tries,"
        " dead_at, error) VALUES"
        " (1, 6, 10, '{1}', 3, 20, 'status 500'),"
        " (1, 6, 11, '{2}', 3, 0, 'waits'),"
        " (1, -5, 12, '{3}', 0, 22, NULL),"
        " (2, 7, 13, '{4}', 1, 23, 'of another app'),"
        " (1, 6, 14, '{5}', 1, 23, 'refused')"));

    DEAD(INT64_MAX, 2, "5 3", "b");
    DEAD(3, 2, "1", "");
    DEAD(1, 2, "", "b");
    DEAD(INT64_MAX, 9, "5 3 1", "");

    memset(&h, 0, sizeof(ngx_chat_history_t));

    h.app = 1;
    h.from = NGX_CHAT_HISTORY_DEAD_e;
    h.id = 2;
    h.limit = 1;
    h.row = dead_row;
    h.data = text;

    CHECK_INT(ngx_chat_history_read(&db, &h), NGX_OK);
    CHECK(strcmp(text, "1 http://b {1} status 500 3 10 20") == 0);

    ngx_chat_db_close(&db);
    store_teardown();
}


/* A reader sees all of a state while somebody writes, and waits for none. */
static void
test_locked(void)
{
    rows_t              rows;
    ngx_chat_db_t       writer, db;
    ngx_chat_record_t   rec;
    ngx_chat_history_t  h;

    store_setup();
    fill(&writer);
    CHECK_INT(store_open(&db, 0, 0), NGX_OK);

    CHECK_INT(ngx_chat_batch_begin(&writer), NGX_OK);
    store_record(&rec, 1, "chat", "x");
    CHECK_INT(ngx_chat_batch_insert(&writer, &rec, STORE_NOW), NGX_OK);

    NEWEST(2, "10 6", "b");

    CHECK_INT(ngx_chat_batch_commit(&writer), NGX_OK);

    NEWEST(2, "11 10", "b");

    /* no reader may hold up a checkpoint */
    CHECK_INT(store_number(writer.handle,
                           "PRAGMA wal_checkpoint(TRUNCATE)"), 0);

    /* what fails is told, and the handle is fit for the next page */

    CHECK(store_exec(writer.handle, "ALTER TABLE messages RENAME TO gone"));

    rows.max = ROWS;
    CHECK_INT(page(&db, &h, &rows, NGX_CHAT_HISTORY_NEWEST_e, 0, 2),
              NGX_ERROR);
    CHECK(strstr(db.error, "no such table") != NULL);

    CHECK(store_exec(writer.handle, "ALTER TABLE gone RENAME TO messages"));

    NEWEST(2, "11 10", "b");

    ngx_chat_db_close(&db);
    ngx_chat_db_close(&writer);
    store_teardown();
}


int
main(void)
{
    RUN(test_newest);
    RUN(test_after);
    RUN(test_before);
    RUN(test_empty_channel);
    RUN(test_highest);
    RUN(test_row_is_full);
    RUN(test_to);
    RUN(test_columns);
    RUN(test_since);
    RUN(test_dead);
    RUN(test_locked);

    return unit_done();
}
