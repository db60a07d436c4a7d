#!/bin/sh
# Test::Nginx: the installed one, else libtest-nginx-perl of Debian unstable,
# unpacked into build/.  The machine's package sources stay as they are.

set -u

. "${0%/*}/env.sh"
. "${0%/*}/mirrors.sh"

dir=$build/test-nginx
module=usr/share/perl5/Test/Nginx/Socket.pm

if perl -e 'for (@INC) { exit 0 if -f "$_/Test/Nginx/Socket.pm" } exit 1' \
   || [ -f "$dir/$module" ]
then
    exit 0
fi


# Lists and cache of its own; no indexes but that of the packages.

apt()
{
    apt-get -q -o Dir::Etc::SourceList="$work/sources.list" \
        -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::State::Lists="$work/lists" \
        -o Dir::Cache="$work/cache" \
        -o APT::Sandbox::User="$(id -un)" \
        -o Acquire::Languages=none \
        -o Acquire::Retries=2 -o Acquire::http::Timeout=30 "$@" < /dev/null
}


fetch()
{
    echo "deb $1 unstable main" > "$work/sources.list"

    apt update || return 1

    # downloads into the working directory
    (cd "$work" && apt download libtest-nginx-perl) || return 1

    dpkg-deb -x "$work"/libtest-nginx-perl_*.deb "$work/tree"
}


work=$build/test-nginx.tmp
rm -rf "$work" "$dir"
mkdir -p "$work/lists/partial" "$work/cache/archives/partial"

say "fetching Test::Nginx (libtest-nginx-perl of Debian unstable)"

for mirror in $(mirrors); do
    if fetch "$mirror" && [ -f "$work/tree/$module" ]; then
        mv "$work/tree" "$dir"
        break
    fi
done

rm -rf "$work"

[ -f "$dir/$module" ] || die "Missing: Test::Nginx (Perl).
It could not be fetched as libtest-nginx-perl from a mirror of Debian
unstable; install it, then try again."
