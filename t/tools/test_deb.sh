#!/bin/bash
# test_deb.sh: the Debian package, built in a root of each Debian and tried in
# a clean one, which boots with systemd: installed, upgraded, removed, purged.
# TAP, and how many passed.
#
# SUITES chooses the Debians.  The packages are in build/deb-SUITE/ then.

set -u

. "${0%/*}/env.sh"
. "${0%/*}/root.sh"

suites=${SUITES:-bookworm trixie}
tap=$build/test-deb.tap
n=0


ok()
{
    name=$1
    shift
    n=$((n + 1))

    if "$@" > "$build/test-deb.said" 2>&1; then
        echo "ok $n - $name"
        return 0
    fi

    echo "not ok $n - $name"
    tail -n 20 "$build/test-deb.said" | sed 's/^/# /'

    return 1
}


build_package()
{
    dir=$roots/$1-deb
    debs=$build/deb-$1

    [ -d "$dir" ] || root_copy "$1" deb || return 1
    root_sources "$dir"

    # by an ordinary user, as packages are
    root_run "$dir" bash -c '
        set -e
        cd /chat
        apt-get -q update
        t/tools/need.sh install deb
        apt-get -q -y --no-install-recommends install lintian
        id builder > /dev/null 2>&1 || useradd -m builder
        mkdir -p build
        chown -R builder build
        su builder -c t/tools/deb.sh' || return 1

    rm -rf "$debs"
    mkdir "$debs"
    cp "$dir"/chat/build/deb/*.{deb,changes,buildinfo,log} "$debs/" || return 1
    newer=$(ls "$debs"/libnginx-mod-chat_*.deb)
}


# The same package, with a lower version.

older_package()
{
    older=$build/deb-$1/older.deb

    rm -rf "$build/deb-$1/older"
    dpkg-deb -R "$newer" "$build/deb-$1/older" \
        && sed -i 's/^Version: /&0~/' "$build/deb-$1/older/DEBIAN/control" \
        && dpkg-deb --root-owner-group -b "$build/deb-$1/older" "$older"
}


no_tags()
{
    root_run "$roots/$1-deb" bash -c '
        cd /chat/build/deb
        su builder -c "lintian --fail-on error,warning,info \
            -EI --pedantic *.changes"'
}


# What it needs, for a root without the network.

clean_root()
{
    dir=$roots/$1-clean

    root_copy "$1" clean || return 1
    cp t/tools/deb_in_root.sh "$older" "$newer" "$dir/root/"

    root_run "$dir" bash -c "
        set -e
        install='apt-get -q -y install --no-install-recommends'
        apt-get -q update
        \$install systemd-sysv dbus curl ca-certificates openssl
        rm /usr/sbin/policy-rc.d
        \$install --download-only nginx /root/${newer##*/}"
}


# Another Debian's nginx has another ABI.

refused()
{
    cp "$1" "$2/root/other.deb"
    said=$(root_run "$2" apt-get -s install /root/other.deb 2>&1)
    echo "$said"

    case $said in
    *"Depends: nginx-abi-"*) return 0 ;;
    esac

    return 1
}


try()
{
    root_boot "$roots/$1-clean" "bash deb_in_root.sh /root/${older##*/} \
        /root/${newer##*/}" > "$build/test-deb.boot" 2>&1

    # the numbers go on
    while IFS= read -r line; do
        case $line in
        "ok "*|"not ok "*)
            n=$((n + 1))
            echo "${line%%ok *}ok $n - $1: ${line#* - }" ;;
        "1.."*) complete=1 ;;
        *) echo "$line" ;;
        esac
    done < "$roots/$1-clean/root/output"
}


need_root
others=

{
    for suite in $suites; do
        ok "$suite: built by make deb" build_package "$suite" || continue
        ok "$suite: lintian has nothing to say" no_tags "$suite"
        ok "$suite: an older one" older_package "$suite" || continue
        ok "$suite: a clean root" clean_root "$suite" || continue

        for other in $others; do
            ok "$suite: takes no other Debian's package" \
                refused "$other" "$dir"
        done

        others="$others $newer"
        complete=
        try "$suite"
        ok "$suite: all of it has run" test -n "$complete"
    done

    echo "1..$n"
} | tee "$tap"

passed=$(grep -c '^ok ' "$tap")
failed=$(grep -c '^not ok ' "$tap")

echo
echo "$passed passed, $failed failed"

[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
