
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Digests by libcrypto.  Pure, except for the contexts, which are kept.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>

#include <pusher/ngx_chat_digest.h>


static ngx_int_t ngx_chat_digest_hmac_start(ngx_str_t *key);
static EVP_MAC_CTX *ngx_chat_digest_hmac_context(void);
static ngx_int_t ngx_chat_digest_md5_start(void);
static ngx_int_t ngx_chat_digest_failed(void);
static void ngx_chat_digest_hex(u_char *out, u_char *p, size_t n);


static EVP_MAC_CTX  *ngx_chat_digest_mac;

/*
 * A machine in FIPS mode has no MD5, and each API request with a body would
 * fail.  HMAC-SHA256 proves who sent a request; MD5 is only the checksum of
 * the body that Pusher's protocol signs.  So MD5 comes from a library context
 * of its own, which no setting of libcrypto reaches.
 */

static OSSL_LIB_CTX   *ngx_chat_digest_lib;
static OSSL_PROVIDER  *ngx_chat_digest_provider;
static EVP_MD         *ngx_chat_digest_md5_type;


ngx_int_t
ngx_chat_digest_hmac(u_char *out, ngx_str_t *key, ngx_str_t *parts,
    ngx_uint_t n)
{
    size_t      len;
    u_char      digest[NGX_CHAT_DIGEST_HMAC_HEX / 2];
    ngx_uint_t  i;

    if (ngx_chat_digest_hmac_start(key) != NGX_OK) {
        return ngx_chat_digest_failed();
    }

    for (i = 0; i < n; i++) {

        if (parts[i].len
            && !EVP_MAC_update(ngx_chat_digest_mac, parts[i].data,
                               parts[i].len))
        {
            return ngx_chat_digest_failed();
        }
    }

    if (!EVP_MAC_final(ngx_chat_digest_mac, digest, &len, sizeof(digest))
        || len != sizeof(digest))
    {
        return ngx_chat_digest_failed();
    }

    ngx_chat_digest_hex(out, digest, sizeof(digest));

    return NGX_OK;
}


ngx_int_t
ngx_chat_digest_md5(u_char *out, ngx_str_t *text)
{
    u_char        digest[EVP_MAX_MD_SIZE];
    unsigned int  len;

    if (ngx_chat_digest_md5_start() != NGX_OK) {
        return ngx_chat_digest_failed();
    }

    if (!EVP_Digest(text->data, text->len, digest, &len,
                    ngx_chat_digest_md5_type, NULL)
        || len != NGX_CHAT_DIGEST_MD5_HEX / 2)
    {
        return ngx_chat_digest_failed();
    }

    ngx_chat_digest_hex(out, digest, len);

    return NGX_OK;
}


void
ngx_chat_digest_exit(void)
{
    EVP_MAC_CTX_free(ngx_chat_digest_mac);
    EVP_MD_free(ngx_chat_digest_md5_type);

    if (ngx_chat_digest_provider) {
        (void) OSSL_PROVIDER_unload(ngx_chat_digest_provider);
    }

    OSSL_LIB_CTX_free(ngx_chat_digest_lib);

    ngx_chat_digest_mac = NULL;
    ngx_chat_digest_md5_type = NULL;
    ngx_chat_digest_provider = NULL;
    ngx_chat_digest_lib = NULL;
}


/* A key without data is refused: libcrypto would take the one before. */

static ngx_int_t
ngx_chat_digest_hmac_start(ngx_str_t *key)
{
    if (ngx_chat_digest_mac == NULL) {
        ngx_chat_digest_mac = ngx_chat_digest_hmac_context();
    }

    if (ngx_chat_digest_mac == NULL
        || key->data == NULL
        || !EVP_MAC_init(ngx_chat_digest_mac, key->data, key->len, NULL))
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static EVP_MAC_CTX *
ngx_chat_digest_hmac_context(void)
{
    EVP_MAC      *mac;
    OSSL_PARAM    params[2];
    EVP_MAC_CTX  *ctx;

    mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    if (mac == NULL) {
        return NULL;
    }

    ctx = EVP_MAC_CTX_new(mac);

    /* the context has a reference of its own */
    EVP_MAC_free(mac);

    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
                                                 (char *) "SHA256", 0);
    params[1] = OSSL_PARAM_construct_end();

    if (ctx != NULL && !EVP_MAC_CTX_set_params(ctx, params)) {
        EVP_MAC_CTX_free(ctx);
        return NULL;
    }

    return ctx;
}


/* What was made before a failure is freed by ngx_chat_digest_exit(). */

static ngx_int_t
ngx_chat_digest_md5_start(void)
{
    if (ngx_chat_digest_md5_type != NULL) {
        return NGX_OK;
    }

    ngx_chat_digest_lib = OSSL_LIB_CTX_new();
    if (ngx_chat_digest_lib == NULL) {
        return NGX_ERROR;
    }

    ngx_chat_digest_provider = OSSL_PROVIDER_load(ngx_chat_digest_lib,
                                                  "default");
    if (ngx_chat_digest_provider == NULL) {
        return NGX_ERROR;
    }

    ngx_chat_digest_md5_type = EVP_MD_fetch(ngx_chat_digest_lib, "MD5", NULL);

    return ngx_chat_digest_md5_type ? NGX_OK : NGX_ERROR;
}


/* nginx would take an error left in the queue for one of a connection. */

static ngx_int_t
ngx_chat_digest_failed(void)
{
    ngx_chat_digest_exit();
    ERR_clear_error();

    return NGX_ERROR;
}


static void
ngx_chat_digest_hex(u_char *out, u_char *p, size_t n)
{
    static u_char  hex[] = "0123456789abcdef";

    while (n--) {
        *out++ = hex[*p >> 4];
        *out++ = hex[*p++ & 0xf];
    }
}
