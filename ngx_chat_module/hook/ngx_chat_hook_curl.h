
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * libcurl, which is loaded by the thread that sends, once it has something to
 * send: nobody else pays for it.
 */


#ifndef _NGX_CHAT_HOOK_CURL_H_INCLUDED_
#define _NGX_CHAT_HOOK_CURL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#if (NGX_CHAT_CURL)
#include <curl/curl.h>
#endif


#define NGX_CHAT_HOOK_CURL_LIBRARY  "libcurl.so.4"


#if (NGX_CHAT_CURL)

/* Its functions, by their names without "curl_". */

typedef struct {
    CURL               *(*easy_init)(void);
    CURLcode            (*easy_setopt)(CURL *easy, CURLoption option, ...);
    CURLcode            (*easy_getinfo)(CURL *easy, CURLINFO info, ...);
    const char         *(*easy_strerror)(CURLcode code);
    void                (*easy_cleanup)(CURL *easy);
    CURLM              *(*multi_init)(void);
    CURLMcode           (*multi_add_handle)(CURLM *multi, CURL *easy);
    CURLMcode           (*multi_remove_handle)(CURLM *multi, CURL *easy);
    CURLMcode           (*multi_perform)(CURLM *multi, int *running);
    CURLMsg            *(*multi_info_read)(CURLM *multi, int *left);
    CURLMcode           (*multi_poll)(CURLM *multi, struct curl_waitfd *fds,
                                      unsigned int n, int timeout, int *ret);
    CURLMcode           (*multi_wakeup)(CURLM *multi);
    CURLMcode           (*multi_cleanup)(CURLM *multi);
    struct curl_slist  *(*slist_append)(struct curl_slist *list,
                                        const char *text);
    void                (*slist_free_all)(struct curl_slist *list);
} ngx_chat_hook_curl_t;


/* NULL: it can't be loaded, and *error tells why. */
ngx_chat_hook_curl_t *ngx_chat_hook_curl_load(const char **error);

#endif


/* Whether the library is there, for `nginx -t`.  NULL: it is; else why not. */
const char *ngx_chat_hook_curl_check(void);


#endif /* _NGX_CHAT_HOOK_CURL_H_INCLUDED_ */
