
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The floor of stored messages: one loop that inserts and commits, with the
 * module's own schema.
 *
 *     sqlite DATABASE MESSAGES-PER-COMMIT SLICES SECONDS SCHEMA ...
 *
 * Slices and seconds are as in load.c: a line on stdin begins each.
 */


#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sqlite3.h>


#define DATA  128
#define FILL  25000                   /* messages of 4 MB of WAL, and more */
#define WARM  0.1                     /* seconds before each slice */


static sqlite3       *db;
static sqlite3_stmt  *begin, *insert, *commit;
static uint64_t       numbered;


static void
check(int ok)
{
    if (!ok) {
        fprintf(stderr, "sqlite: %s\n", db ? sqlite3_errmsg(db) : "no memory");
        exit(1);
    }
}


static void
exec(const char *sql)
{
    check(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK);
}


static sqlite3_stmt *
prepare(const char *sql)
{
    sqlite3_stmt  *st;

    check(sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK);

    return st;
}


static void
step(sqlite3_stmt *st)
{
    check(sqlite3_step(st) == SQLITE_DONE);
    sqlite3_reset(st);
}


static void
insert_one(void)
{
    static char    content[DATA];
    sqlite3_stmt  *st = insert;

    memset(content, 'x', DATA);

    sqlite3_bind_int64(st, 1, 1001);
    sqlite3_bind_text(st, 2, "chat", 4, SQLITE_STATIC);
    sqlite3_bind_text(st, 3, "m", 1, SQLITE_STATIC);
    sqlite3_bind_text(st, 4, content, DATA, SQLITE_STATIC);
    sqlite3_bind_int64(st, 5, 1769851800123 + numbered++);
    step(st);
}


static void
exec_file(const char *path)
{
    char    text[16384];
    FILE   *fp;
    size_t  n;

    fp = fopen(path, "r");
    if (fp == NULL) {
        perror(path);
        exit(1);
    }

    n = fread(text, 1, sizeof(text) - 1, fp);
    text[n] = '\0';
    fclose(fp);

    exec(text);
}


static double
now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return ts.tv_sec + ts.tv_nsec / 1e9;
}


/* Adds the seconds that it took, a little more than those it was given;
   returns how many messages. */

static uint64_t
run(int batch, double seconds, double *took)
{
    int       i;
    double    start, time;
    uint64_t  from;

    from = numbered;
    start = now();

    do {
        step(begin);

        for (i = 0; i < batch; i++) {
            insert_one();
        }

        step(commit);
        time = now();

    } while (time < start + seconds);

    *took += time - start;

    return numbered - from;
}


int
main(int argc, char **argv)
{
    int       i, batch, slices;
    char      line[16];
    double    time, warm;
    uint64_t  n;

    if (argc < 6) {
        fprintf(stderr, "usage: sqlite DATABASE BATCH SLICES SECONDS"
                        " SCHEMA ...\n");
        return 2;
    }

    batch = atoi(argv[2]);
    slices = atoi(argv[3]);

    check(sqlite3_open(argv[1], &db) == SQLITE_OK);

    exec("PRAGMA journal_mode = WAL");
    exec("PRAGMA synchronous = FULL");

    for (i = 5; i < argc; i++) {
        exec_file(argv[i]);
    }

    begin = prepare("BEGIN IMMEDIATE");
    commit = prepare("COMMIT");
    insert = prepare("INSERT INTO messages (app, channel, event, content,"
                     " created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5,"
                     " ?5)");

    /* the WAL is as long as it gets: growing files cost more */

    step(begin);

    for (i = 0; i < FILL; i++) {
        insert_one();
    }

    step(commit);
    exec("PRAGMA wal_checkpoint");

    n = 0;
    time = 0;
    warm = 0;

    for (i = 0; i < slices; i++) {
        printf("ready %d\n", i);
        fflush(stdout);

        if (fgets(line, sizeof(line), stdin) == NULL) {
            return 1;
        }

        (void) run(batch, WARM, &warm);
        n += run(batch, atof(argv[4]), &time);
    }

    printf("seconds %.3f\n", time);
    printf("messages %.1f\n", n / time);
    printf("batch %d\n", batch);

    return 0;
}
