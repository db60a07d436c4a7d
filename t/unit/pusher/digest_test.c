
/* sources: pusher/ngx_chat_digest.c libs: -lcrypto */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Digests, and MD5 where libcrypto is in FIPS mode.
 */


#include <unit.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include <pusher/ngx_chat_digest.h>


static void
check_md5(void)
{
    u_char     hex[NGX_CHAT_DIGEST_MD5_HEX];
    ngx_str_t  text;

    ngx_str_null(&text);
    CHECK_INT(ngx_chat_digest_md5(hex, &text), NGX_OK);
    CHECK_BYTES(hex, sizeof(hex), "d41d8cd98f00b204e9800998ecf8427e");

    ngx_str_set(&text, "message digest");
    CHECK_INT(ngx_chat_digest_md5(hex, &text), NGX_OK);
    CHECK_BYTES(hex, sizeof(hex), "f96b697d7cb7938d525a2f31aaf161d0");
}


/* RFC 1321, RFC 4231: test case 2 */

static void
test_vectors(void)
{
    u_char     hex[NGX_CHAT_DIGEST_HMAC_HEX];
    ngx_str_t  key, parts[2];

    check_md5();

    ngx_str_set(&key, "Jefe");
    ngx_str_set(&parts[0], "what do ya want ");
    ngx_str_set(&parts[1], "for nothing?");

    CHECK_INT(ngx_chat_digest_hmac(hex, &key, parts, 2), NGX_OK);
    CHECK_BYTES(hex, sizeof(hex), "5bdcc146bf60754e6a042426089575c7"
                "5a003f089d2739839dec58b964ec3843");

    ngx_chat_digest_exit();
}


/* Nobody else in the process has an MD5 then. */

static void
test_fips(void)
{
    EVP_MD  *md;

    CHECK(EVP_default_properties_enable_fips(NULL, 1));

    md = EVP_MD_fetch(NULL, "MD5", NULL);
    CHECK(md == NULL);
    EVP_MD_free(md);
    ERR_clear_error();

    check_md5();
    ngx_chat_digest_exit();

    /* made anew */
    check_md5();
    ngx_chat_digest_exit();

    CHECK_INT(ERR_peek_error(), 0);
    CHECK(EVP_default_properties_enable_fips(NULL, 0));
}


int
main(void)
{
    RUN(test_vectors);
    RUN(test_fips);

    return unit_done();
}
