#!/bin/sh
# promtool, for t/status.t: the installed one, else that of Debian's package
# "prometheus", unpacked into build/.  The package is not installed: that
# would start a daemon.

set -u

. "${0%/*}/env.sh"

dir=$build/promtool

if command -v promtool > /dev/null || [ -x "$dir/promtool" ]; then
    exit 0
fi


# Downloads into the working directory; with package lists of its own where
# the machine's are missing or too old, so that root is not needed.

fetch()
{
    (cd "$work" && apt-get -q "$@" \
        -o Acquire::Retries=2 -o Acquire::http::Timeout=30 \
        -o APT::Sandbox::User="$(id -un)" download prometheus < /dev/null)
}


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

say "fetching promtool (Debian's prometheus)"

if fetch || fetch_anew; then
    dpkg-deb -x "$work"/prometheus_*.deb "$work/tree" \
        && mv "$work/tree/usr/bin/promtool" "$dir/promtool"
fi

rm -rf "$work"

[ -x "$dir/promtool" ] || die "Missing: promtool.
It could not be fetched as a part of Debian's package prometheus; install
it, then try again."
