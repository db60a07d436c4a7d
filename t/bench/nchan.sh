#!/bin/sh
# Prints where nchan's module is: the installed one, or that of Debian's
# libnginx-mod-nchan, unpacked into build/.
#
# Installing the package would enable it in the nginx of the machine, and
# reload that one.

set -u

. "${0%/*}/../tools/env.sh"

dir=$build/bench/nchan
module=usr/lib/nginx/modules/ngx_nchan_module.so

for so in "/$module" "$dir/$module"; do
    if [ -f "$so" ]; then
        echo "$so"
        exit 0
    fi
done


# not into a folder that apt's own user could not write to

fetch()
{
    (cd "$work" && apt-get -q -o APT::Sandbox::User="$(id -un)" \
        -o Acquire::Retries=2 -o Acquire::http::Timeout=30 \
        download libnginx-mod-nchan) < /dev/null >&2 || return 1

    dpkg-deb -x "$work"/libnginx-mod-nchan_*.deb "$work/tree"
}


work=$build/bench/nchan.tmp
rm -rf "$work" "$dir"
mkdir -p "$work"

say "fetching nchan (libnginx-mod-nchan of Debian)" >&2

if fetch && [ -f "$work/tree/$module" ]; then
    mv "$work/tree" "$dir"
fi

rm -rf "$work"

[ -f "$dir/$module" ] || die "Missing: nchan.
It could not be fetched as Debian's libnginx-mod-nchan; install it, or leave
it out by PEERS='chat floor'."

echo "$dir/$module"
