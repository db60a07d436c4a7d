
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * libcurl, loaded when it is needed.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <dlfcn.h>

#include <hook/ngx_chat_hook_curl.h>


#if (NGX_CHAT_CURL)


typedef struct {
    const char  *name;
    size_t       offset;               /* in ngx_chat_hook_curl_t */
} ngx_chat_hook_curl_symbol_t;


#define ngx_chat_hook_curl_symbol(name)                                       \
    { "curl_" #name, offsetof(ngx_chat_hook_curl_t, name) }


static ngx_chat_hook_curl_symbol_t  ngx_chat_hook_curl_symbols[] = {
    ngx_chat_hook_curl_symbol(easy_init),
    ngx_chat_hook_curl_symbol(easy_setopt),
    ngx_chat_hook_curl_symbol(easy_getinfo),
    ngx_chat_hook_curl_symbol(easy_strerror),
    ngx_chat_hook_curl_symbol(easy_cleanup),
    ngx_chat_hook_curl_symbol(multi_init),
    ngx_chat_hook_curl_symbol(multi_add_handle),
    ngx_chat_hook_curl_symbol(multi_remove_handle),
    ngx_chat_hook_curl_symbol(multi_perform),
    ngx_chat_hook_curl_symbol(multi_info_read),
    ngx_chat_hook_curl_symbol(multi_poll),
    ngx_chat_hook_curl_symbol(multi_wakeup),
    ngx_chat_hook_curl_symbol(multi_cleanup),
    ngx_chat_hook_curl_symbol(slist_append),
    ngx_chat_hook_curl_symbol(slist_free_all),
    { NULL, 0 }
};


static ngx_chat_hook_curl_t  ngx_chat_hook_curl;


ngx_chat_hook_curl_t *
ngx_chat_hook_curl_load(const char **error)
{
    void                         *library, *p;
    CURLcode                    (*init)(long flags);
    ngx_chat_hook_curl_symbol_t  *symbol;

    if (ngx_chat_hook_curl.easy_init) {
        return &ngx_chat_hook_curl;
    }

    library = dlopen(NGX_CHAT_HOOK_CURL_LIBRARY, RTLD_NOW|RTLD_LOCAL);

    if (library == NULL) {
        *error = dlerror();
        return NULL;
    }

    *(void **) (&init) = dlsym(library, "curl_global_init");

    if (init == NULL || init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        *error = "curl_global_init() failed";
        return NULL;
    }

    for (symbol = ngx_chat_hook_curl_symbols + 1; /* void */ ; symbol++) {

        /* the first one is looked up last: it tells that all are there */

        if (symbol->name == NULL) {
            symbol = ngx_chat_hook_curl_symbols;
        }

        p = dlsym(library, symbol->name);

        if (p == NULL) {
            *error = "a function is missing, is it older than 7.77?";
            return NULL;
        }

        ngx_memcpy((u_char *) &ngx_chat_hook_curl + symbol->offset, &p,
                   sizeof(void *));

        if (symbol == ngx_chat_hook_curl_symbols) {
            return &ngx_chat_hook_curl;
        }
    }
}


#endif


/*
 * The configuration is read by nginx's master, too, which must not have the
 * library: all workers would inherit it.  So only `nginx -t` looks.
 */

const char *
ngx_chat_hook_curl_check(void)
{
#if (NGX_CHAT_CURL)

    if (ngx_test_config
        && dlopen(NGX_CHAT_HOOK_CURL_LIBRARY, RTLD_LAZY|RTLD_LOCAL) == NULL)
    {
        return "needs " NGX_CHAT_HOOK_CURL_LIBRARY ", which can't be loaded "
               "(Debian: package libcurl4)";
    }

    return NULL;

#else

    return "is not available: the module was built without libcurl";

#endif
}
