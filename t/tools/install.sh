#!/bin/sh
# install.sh DESTDIR MODULES_DIR DOC_DIR

set -eu

. "${0%/*}/env.sh"

destdir=$1
modules=$2
doc=$3

nginx=nginx
[ -n "${NGINX_SRC:-}" ] && nginx=$build/src-objs/nginx

if [ -z "$modules" ]; then
    modules=$("$nginx" -V 2>&1 | tr ' ' '\n' \
              | sed -n 's/^--modules-path=//p')
    [ -n "$modules" ] || modules=$("$nginx" -V 2>&1 | tr ' ' '\n' \
                                   | sed -n 's,^--prefix=\(.*\),\1/modules,p')
    [ -n "$modules" ] || modules=/usr/local/nginx/modules
fi

mkdir -p "$destdir$modules" "$destdir$doc/examples/systemd"

install -m 644 "$build/ngx_chat_module.so" "$destdir$modules/"
install -m 644 conf/nginx.conf conf/*.html conf/*.js conf/*.css \
    conf/prometheus-alerts.yml conf/grafana.json "$destdir$doc/examples/"
install -m 755 conf/chat.sh "$destdir$doc/examples/"
install -m 644 conf/systemd/* "$destdir$doc/examples/systemd/"
install -m 644 conf/*.md "$destdir$doc/"

echo "$destdir$modules/ngx_chat_module.so"
echo "$destdir$doc/"
echo
echo "In nginx.conf, at the top:  load_module $modules/ngx_chat_module.so;"
