
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Digests by libcrypto.  Pure, but for the contexts and the last key, which
 * are kept.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>

#include <pusher/ngx_chat_digest.h>


#define NGX_CHAT_DIGEST_KEY    128     /* longer ones are not kept */

/* Before 3.0.3 a context was not reset by an init without a key. */
#define NGX_CHAT_DIGEST_RESET  0x30000030UL


static EVP_MAC_CTX *ngx_chat_digest_hmac_context(void);
static ngx_int_t ngx_chat_digest_hmac_start(ngx_str_t *key);
static ngx_int_t ngx_chat_digest_hmac_key(ngx_str_t *key);
static ngx_int_t ngx_chat_digest_md5_start(void);
static ngx_int_t ngx_chat_digest_md5_make(void);
static ngx_int_t ngx_chat_digest_failed(void);
static void ngx_chat_digest_hex(u_char *out, u_char *p, size_t n);


static EVP_MAC_CTX  *ngx_chat_digest_mac;
static u_char        ngx_chat_digest_key[NGX_CHAT_DIGEST_KEY];
static size_t        ngx_chat_digest_key_len;      /* 0: none is kept */

/*
 * A machine in FIPS mode has no MD5, and would answer 500 to each API request
 * with a body.  What shows there who a request is from is HMAC-SHA256; MD5 is
 * only the body's checksum that Pusher's protocol has among what is signed.
 * So MD5 comes from a context of its own, which no setting of libcrypto's
 * reaches.
 */

static OSSL_LIB_CTX   *ngx_chat_digest_lib;
static OSSL_PROVIDER  *ngx_chat_digest_provider;
static EVP_MD         *ngx_chat_digest_md5_type;
static EVP_MD_CTX     *ngx_chat_digest_md;


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

    if ((text->len
         && !EVP_DigestUpdate(ngx_chat_digest_md, text->data, text->len))
        || !EVP_DigestFinal_ex(ngx_chat_digest_md, digest, &len)
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
    EVP_MD_CTX_free(ngx_chat_digest_md);
    EVP_MD_free(ngx_chat_digest_md5_type);

    if (ngx_chat_digest_provider) {
        (void) OSSL_PROVIDER_unload(ngx_chat_digest_provider);
    }

    OSSL_LIB_CTX_free(ngx_chat_digest_lib);

    OPENSSL_cleanse(ngx_chat_digest_key, sizeof(ngx_chat_digest_key));

    ngx_chat_digest_key_len = 0;
    ngx_chat_digest_mac = NULL;
    ngx_chat_digest_md = NULL;
    ngx_chat_digest_md5_type = NULL;
    ngx_chat_digest_provider = NULL;
    ngx_chat_digest_lib = NULL;
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


static ngx_int_t
ngx_chat_digest_hmac_start(ngx_str_t *key)
{
    if (ngx_chat_digest_mac == NULL) {
        ngx_chat_digest_mac = ngx_chat_digest_hmac_context();

        if (ngx_chat_digest_mac == NULL) {
            return NGX_ERROR;
        }
    }

    /* for libcrypto no key is the one before */

    if (key->data == NULL) {
        return NGX_ERROR;
    }

    if (ngx_chat_digest_key_len
        && key->len == ngx_chat_digest_key_len
        && ngx_memcmp(key->data, ngx_chat_digest_key, key->len) == 0)
    {
        return EVP_MAC_init(ngx_chat_digest_mac, NULL, 0, NULL)
               ? NGX_OK : NGX_ERROR;
    }

    return ngx_chat_digest_hmac_key(key);
}


/*
 * Most often the next key is the same: its part of the digest, half of a
 * short text's, is not done again.
 */

static ngx_int_t
ngx_chat_digest_hmac_key(ngx_str_t *key)
{
    ngx_chat_digest_key_len = 0;

    if (!EVP_MAC_init(ngx_chat_digest_mac, key->data, key->len, NULL)) {
        return NGX_ERROR;
    }

    if (key->len <= NGX_CHAT_DIGEST_KEY
        && OpenSSL_version_num() >= NGX_CHAT_DIGEST_RESET)
    {
        ngx_memcpy(ngx_chat_digest_key, key->data, key->len);
        ngx_chat_digest_key_len = key->len;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_digest_md5_start(void)
{
    if (ngx_chat_digest_md == NULL && ngx_chat_digest_md5_make() != NGX_OK) {
        return NGX_ERROR;
    }

    return EVP_DigestInit_ex(ngx_chat_digest_md, ngx_chat_digest_md5_type,
                             NULL)
           ? NGX_OK : NGX_ERROR;
}


/* What is made before a failure, exit() frees. */

static ngx_int_t
ngx_chat_digest_md5_make(void)
{
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
    if (ngx_chat_digest_md5_type == NULL) {
        return NGX_ERROR;
    }

    ngx_chat_digest_md = EVP_MD_CTX_new();

    return ngx_chat_digest_md ? NGX_OK : NGX_ERROR;
}


/* nginx would take what is left there for an error of a connection. */

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
