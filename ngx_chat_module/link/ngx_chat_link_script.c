
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Scripts are called by their SHA-1.  An engine that does not have one gets its
 * text: it was restarted, or is another one now.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <link/ngx_chat_link_script.h>

#include <openssl/sha.h>
#include <stdio.h>

/* made by the build from the files in scripts/ */
#include <ngx_chat_link_scripts.h>


/* Why a script has done nothing. */

static const char  *ngx_chat_link_script_words[] = {
    "NONE", "TERM", "GONE", "BEHIND", "BOOKS", NULL
};


ngx_int_t
ngx_chat_link_script_run(ngx_chat_engine_t *e, ngx_chat_link_script_e script,
    ngx_str_t *words, ngx_uint_t nkeys, ngx_uint_t n, ngx_msec_t ms,
    ngx_chat_engine_reply_t **reply)
{
    char                      number[NGX_INT_T_LEN + 1];
    u_char                    sum[SHA_DIGEST_LENGTH];
    u_char                    sha[2 * SHA_DIGEST_LENGTH];
    ngx_int_t                 rc;
    ngx_str_t                 text, first;
    ngx_uint_t                i;
    ngx_chat_engine_reply_t  *r;

    text.data = (u_char *) ngx_chat_link_scripts[script];
    text.len = strlen(ngx_chat_link_scripts[script]);

    (void) SHA1(text.data, text.len, sum);
    (void) ngx_hex_dump(sha, sum, SHA_DIGEST_LENGTH);

    ngx_str_set(&words[0], "EVALSHA");
    words[1].data = sha;
    words[1].len = sizeof(sha);
    words[2].data = (u_char *) number;
    words[2].len = snprintf(number, sizeof(number), "%u", (unsigned) nkeys);

    rc = ngx_chat_engine_call(e, words, n, ms, &r);

    if (rc == NGX_DECLINED
        && strncmp(e->error, "NOSCRIPT", 8) == 0)
    {
        ngx_str_set(&words[0], "EVAL");
        words[1] = text;

        rc = ngx_chat_engine_call(e, words, n, ms, &r);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    first = ngx_chat_engine_text(ngx_chat_engine_item(r, 0));

    rc = (first.len == 2 && memcmp(first.data, "OK", 2) == 0) ? NGX_OK
                                                              : NGX_ERROR;

    if (rc == NGX_OK && reply) {
        *reply = r;
        return NGX_OK;
    }

    for (i = 0; rc == NGX_ERROR && ngx_chat_link_script_words[i]; i++) {

        if (first.len == strlen(ngx_chat_link_script_words[i])
            && memcmp(first.data, ngx_chat_link_script_words[i], first.len)
               == 0)
        {
            rc = NGX_AGAIN;
        }
    }

    ngx_chat_engine_free(r);

    if (rc == NGX_ERROR) {
        ngx_chat_link_script_failed(e);
    }

    return rc;
}


void
ngx_chat_link_script_failed(ngx_chat_engine_t *e)
{
    (void) ngx_chat_engine_failed(e, "it gives an answer that the script does "
                                  "not make");
    ngx_chat_engine_close(e);
}
