#!/bin/sh
# promtool, for t/status.t: the installed one, else Debian's, unpacked into
# build/: a package of its own from Debian 13 on, before that a part of
# "prometheus".  Neither is installed: the latter would start a daemon.

set -u

. "${0%/*}/env.sh"

dir=$build/promtool

if command -v promtool > /dev/null || [ -x "$dir/promtool" ]; then
    exit 0
fi


# Downloads into the working directory, and unpacks, the first package that
# has it.  What apt has to say of the others matters only where all fail.

fetch()
{
    for package in promtool prometheus; do
        (cd "$work" && apt-get -q "$@" \
            -o Acquire::Retries=2 -o Acquire::http::Timeout=30 \
            -o APT::Sandbox::User="$(id -un)" \
            download "$package" < /dev/null 2>> "$work/log") || continue

        dpkg-deb -x "$work/$package"_*.deb "$work/tree" \
            && mv "$work/tree/usr/bin/promtool" "$dir/" 2>> "$work/log" \
            && return
    done

    return 1
}


# The same with package lists of its own, where the machine's are missing or
# too old, so that root is not needed.

fetch_anew()
{
    set -- -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache"

    apt-get -q "$@" -o Acquire::Languages=none \
        -o Acquire::Retries=2 -o Acquire::http::Timeout=30 \
        -o APT::Sandbox::User="$(id -un)" update < /dev/null || return 1

    fetch "$@"
}


work=$build/promtool.tmp
rm -rf "$work" "$dir"
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$dir"

say "fetching promtool (of Debian's prometheus)"

fetch || fetch_anew || cat "$work/log" >&2

rm -rf "$work"

[ -x "$dir/promtool" ] || die "Missing: promtool.
It could not be fetched as Debian's package promtool, nor as a part of
prometheus; install it, then try again."
