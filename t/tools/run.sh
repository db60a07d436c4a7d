#!/bin/sh
# Serves the demo in the foreground, from build/run/.

set -u

. "${0%/*}/env.sh"

nginx=nginx
[ -n "${NGINX_SRC:-}" ] && nginx=$build/src-objs/nginx

mkdir -p "$build/run"

# the clone may lie where no other user can look, such as in /root
globals="daemon off;"
[ "$(id -u)" = 0 ] && globals="$globals user root;"

"$nginx" -t -q -e stderr -p "$build/run/" -c "$root/conf/nginx.conf" \
    -g "$globals" || exit 1

say "http://127.0.0.1:8080/ (Ctrl-C ends it; log: build/run/error.log)"

exec "$nginx" -e stderr -p "$build/run/" -c "$root/conf/nginx.conf" \
    -g "$globals"
