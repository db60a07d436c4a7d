#!/bin/bash
# build.sh [asan|failpoints|configure]: the module, for the installed nginx or
# for NGINX_SRC; or no more than the headers that unit tests need.
#
# nginx's configure runs in a farm of links to nginx's sources, since it
# writes a Makefile into its working directory.  It runs again only when
# something changed that it has read.

set -eu

. "${0%/*}/env.sh"

variant=${1:-}
[ "$variant" = configure ] && variant=
out=$build${variant:+/$variant}
objs=$out/objs
farm=$out/nginx
so=$out/ngx_chat_module.so
jobs=$(nproc)

# The warnings are nginx's own, -Wall and -Wextra (gcc's -W) among them.  What
# is said here comes behind them: another -Wextra would undo the
# -Wno-unused-parameter that callbacks need.
cc_opt=-O2
ld_opt=

if [ "$variant" = asan ]; then
    cc_opt="-O1 -fno-omit-frame-pointer -fsanitize=address,undefined"

    # see ngx_chat_module/websocket/ngx_chat_object_pool.c
    cc_opt="$cc_opt -DNGX_CHAT_NO_SLAB=1"
    ld_opt="-fsanitize=address,undefined"

    # nginx's configure runs programs that leak
    export ASAN_OPTIONS=detect_leaks=0
fi

# see ngx_chat_module/wire/ngx_chat_failpoint.h
[ "$variant" = failpoints ] && cc_opt="$cc_opt -DNGX_CHAT_FAILPOINTS=1"


if [ -n "${NGINX_SRC:-}" ]; then
    src=$(cd "$NGINX_SRC" && pwd -P)
    objs=$out/src-objs
    farm=$out/src-nginx
    [ -f "$src/src/core/nginx.c" ] || die "$src has no sources of nginx"

    flags=(--with-compat --with-threads --with-debug
           --with-http_ssl_module --with-http_v2_module
           --with-http_realip_module --with-http_auth_request_module)

    # from 1.25 on; see t/http3.t
    grep -q http_v3 "$src/auto/options" && flags+=(--with-http_v3_module)

else
    src=/usr/share/nginx/src
    [ -f $src/conf_flags ] \
        || die "$src/conf_flags is missing: install nginx-dev, or use NGINX_SRC"

    . $src/conf_flags
    flags=("${NGX_CONF_FLAGS[@]}")
fi


# one build at a time in one tree

exec 9> "$build/.lock"
flock 9

key=$(
    echo "$root $src ${flags[*]} $cc_opt"
    cksum "$src/src/core/nginx.h" "$src/auto/make" config sql/*.sql \
        ngx_chat_module/console/page/* ngx_chat_module/link/scripts/*
    "${CC:-cc}" --version
    find ngx_chat_module -name '*.[ch]' | LC_ALL=C sort
)

if [ "$key" != "$(cat "$objs/.key" 2> /dev/null)" ]; then
    say "configuring for nginx in $src"

    rm -rf "$objs" "$farm"
    mkdir -p "$farm"

    # nginx's repository has it there, its releases in place
    configure=configure
    [ -f "$src/configure" ] || configure=auto/configure

    for path in "$src"/*; do
        case ${path##*/} in
        Makefile|objs) ;;
        *) ln -s "$path" "$farm/" ;;
        esac
    done

    (cd "$farm" && bash "./$configure" "${flags[@]}" --builddir="$objs" \
        --with-cc-opt="$cc_opt" --with-ld-opt="$ld_opt" \
        --add-dynamic-module="$root") \
        > "$out/configure.log" 2>&1 < /dev/null \
        || { tail -n 20 "$out/configure.log"
             die "configure failed, see $out/configure.log"; }

    echo "$key" > "$objs/.key"
fi

[ "${1:-}" = configure ] && exit 0


run_make()
{
    (cd "$farm" && MAKEFLAGS= make -s -f "$objs/Makefile" "$@") 9>&-
}

if ! run_make -q modules > /dev/null 2>&1; then
    say "compiling ${so#"$root/"}"
    run_make -j"$jobs" modules
fi

# the tests of a module for a source tree need its nginx, which has a name of
# its own in some forks

if [ -n "${NGINX_SRC:-}" ] && [ "$variant" = '' ] \
   && ! run_make -q binary > /dev/null 2>&1
then
    say "compiling ${objs#"$root/"}/nginx"
    run_make -j"$jobs" binary

    binary=$(sed -n 's/^binary:[[:space:]]*//p' "$objs/Makefile")
    [ "$binary" = "$objs/nginx" ] || ln -sf "${binary##*/}" "$objs/nginx"
fi

if ! cmp -s "$objs/ngx_chat_module.so" "$so"; then
    cp "$objs/ngx_chat_module.so" "$so.new"
    mv "$so.new" "$so"
fi

# stock nginx takes such a module only with the sanitizers loaded before all
# else; what they find goes to build/asan/log.PID, and ends the process

if [ "$variant" = asan ]; then
    nginx=$(command -v nginx)
    [ -n "${NGINX_SRC:-}" ] && nginx=$build/src-objs/nginx

    cat > "$out/nginx.sh" << END
#!/bin/sh
export ASAN_OPTIONS=detect_leaks=0:log_path=$out/log:log_exe_name=0
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1:log_path=$out/log
export LD_PRELOAD="$(cc -print-file-name=libasan.so) \
$(cc -print-file-name=libubsan.so)"
exec "$nginx" "\$@"
END
    chmod +x "$out/nginx.sh"
    rm -f "$out"/log.*
fi
