#!/bin/bash
# matrix.sh: builds the module and runs t/*.t with the nginx of each Debian,
# and with those of NGINX_SRC, trees of nginx's sources; these in Debian 13.
# Each with gcc and with clang.  Goes on after a failure; ends with a table,
# which is in build/matrix/ too, beside the logs.
#
# SUITES, COMPILERS and TESTS choose some of it.

set -u

. "${0%/*}/env.sh"
. "${0%/*}/root.sh"

suites=${SUITES-bookworm trixie unstable}
compilers=${COMPILERS:-gcc clang}
tests=${TESTS:-perl}
trees=${NGINX_SRC:-}

out=$build/matrix
table=$out/table.txt
bad=0


row()
{
    printf '%-24s %-14s %7s %7s  %s\n' "$@" >> "$table"
}


# prepare SUITE: its root, up to date

prepare()
{
    dir=$roots/$1-tests

    [ -d "$dir" ] || root_copy "$1" tests || return 1

    root_sources "$dir"
    root_run "$dir" bash -c '
        apt-get -q update && apt-get -q -y dist-upgrade' \
        > "$out/$1.log" 2>&1
}


# First what needs the network.  Then the rest, in a network of its own.  The
# compiler is seen to take warnings for errors.

build_and_test()
{
    root_run "${options[@]}" "$dir" bash -c "
        cd /chat && $settings
        t/tools/need.sh install perl && t/tools/test_nginx.sh \
            && t/tools/promtool.sh" || return

    root_run --alone "${options[@]}" "$dir" bash -c "
        cd /chat && $settings
        rm -f build/ngx_chat_module.so build/failpoints/ngx_chat_module.so
        t/tools/build.sh && t/tools/build.sh failpoints \
            && grep -q '^CFLAGS = .* -Werror' build/$objs/Makefile \
            && echo 'built, with -Werror' && t/tools/test.pl $tests"
}


# one NAME: builds, tests and gets a row

one()
{
    log=$out/$1.log

    say "$1; log: build/matrix/$1.log"

    build_and_test > "$log" 2>&1

    nginx=$(root_run "${options[@]}" "$dir" bash -c "$ask_version" 2> /dev/null)
    cc=$(root_run "$dir" "$compiler" -dumpversion 2> /dev/null)
    counts=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$log" | tail -n 1)

    if [ -z "$counts" ]; then
        bad=1
        row "$nginx" "$compiler $cc" - - "no result, see build/matrix/$1.log"
        return
    fi

    failed=${counts#*, }
    failed=${failed% failed}
    [ "$failed" = 0 ] || bad=1

    row "$nginx" "$compiler $cc" "${counts%% *}" "$failed" \
        "$(sed -n 's/^---- //p' "$log" | tr '\n' ' ')"
}


need_root
mkdir -p "$out"
: > "$table"

row nginx compiler passed failed 'failed in'

for suite in $suites; do
    if ! prepare "$suite"; then
        bad=1
        row "Debian $suite" - - - "not to be had, see build/matrix/$suite.log"
        continue
    fi

    for compiler in $compilers; do
        options=()
        objs=objs
        settings="export CC=$compiler"
        ask_version="echo \$(nginx -v 2>&1 | sed 's,.*/,,'), Debian $suite"
        one "$suite-$compiler"
    done
done

[ -n "$trees" ] || echo 'No trees of nginx sources: NGINX_SRC="DIR DIR".' \
    >> "$table"

for tree in $trees; do
    version=$(sed -n 's/^#define NGINX_VERSION  *"\(.*\)"/\1/p' \
              "$tree/src/core/nginx.h")

    if [ -z "$version" ] || ! prepare trixie; then
        bad=1
        row "$tree" - - - "not a tree of nginx's sources, or no Debian 13"
        continue
    fi

    for compiler in $compilers; do
        options=(--bind "$(cd "$tree" && pwd -P)")
        objs=src-objs
        settings="export CC=$compiler NGINX_SRC=/src"
        ask_version="echo $version, sources"
        one "$version-$compiler"
    done
done

echo
cat "$table"

exit $bad
