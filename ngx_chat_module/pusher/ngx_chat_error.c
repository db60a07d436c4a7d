
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Error and close codes with their texts.  Pure.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <wire/ngx_chat_utf8.h>
#include <pusher/ngx_chat_error.h>


typedef struct {
    ngx_uint_t         code;
    const char        *text;
} ngx_chat_error_t;


static u_char *ngx_chat_error_copy(u_char *p, u_char *last,
    const char *text, size_t len);


static const ngx_chat_error_t  ngx_chat_errors[] = {

    { NGX_CHAT_ERROR_TLS_ONLY,
      "Application only accepts SSL connections, reconnect using wss://" },

    { NGX_CHAT_ERROR_UNKNOWN_KEY,
      "App key %s not in this cluster. Did you forget to specify the "
      "cluster? (No chat_app has it.)" },

    { NGX_CHAT_ERROR_DISABLED,
      "Application disabled (enabled off)" },

    { NGX_CHAT_ERROR_QUOTA,
      "Account over quota (max_connections)" },

    { NGX_CHAT_ERROR_PATH,
      "Path not found" },

    { NGX_CHAT_ERROR_VERSION,
      "Invalid version string format" },

    { NGX_CHAT_ERROR_PROTOCOL,
      "Unsupported protocol version" },

    { NGX_CHAT_ERROR_NO_PROTOCOL,
      "No protocol version supplied" },

    { NGX_CHAT_ERROR_UNAUTHORIZED,
      "Connection not authorized within timeout" },

    { NGX_CHAT_ERROR_CAPACITY,
      "Over capacity" },

    { NGX_CHAT_ERROR_RECONNECT,
      "Please reconnect immediately" },

    { NGX_CHAT_ERROR_NO_PONG,
      "Pong reply not received" },

    { NGX_CHAT_ERROR_INACTIVE,
      "Closed after inactivity" },

    { 0, NULL }
};


const char *
ngx_chat_error_text(ngx_uint_t code)
{
    const ngx_chat_error_t  *e;

    for (e = ngx_chat_errors; e->text; e++) {

        if (e->code == code) {
            return e->text;
        }
    }

    return "";
}


size_t
ngx_chat_error_format(u_char *buf, size_t size, const char *format,
    ngx_str_t *arg)
{
    u_char      *p, *last;
    size_t       n, len;
    ngx_str_t    rest;
    const char  *mark;

    p = buf;
    last = buf + size;
    mark = strstr(format, "%s");

    if (mark != NULL) {
        p = ngx_chat_error_copy(p, last, format, mark - format);
        format = mark + 2;
        rest = *arg;

        while (rest.len) {
            n = ngx_chat_utf8_prefix(rest.data, rest.len);
            p = ngx_chat_error_copy(p, last, (char *) rest.data, n);

            if (n == rest.len) {
                break;
            }

            p = ngx_chat_error_copy(p, last, "?", 1);
            rest.data += n + 1;
            rest.len -= n + 1;
        }
    }

    p = ngx_chat_error_copy(p, last, format, ngx_strlen(format));
    len = p - buf;

    return (len < size) ? len : ngx_chat_utf8_prefix(buf, len);
}


size_t
ngx_chat_error_reason_len(u_char *reason, size_t len)
{
    return ngx_chat_utf8_prefix(reason,
                                ngx_min(len, NGX_CHAT_CLOSE_REASON_MAX));
}


static u_char *
ngx_chat_error_copy(u_char *p, u_char *last, const char *text, size_t len)
{
    if (len > (size_t) (last - p)) {
        len = last - p;
    }

    if (len == 0) {
        return p;
    }

    return ngx_cpymem(p, text, len);
}
