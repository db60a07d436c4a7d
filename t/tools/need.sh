#!/bin/sh
# need.sh check|install build|run|test|perl|fuzz|lint|valgrind|asan|bench|deb
#                       |roots
#
# The Debian packages that a make target needs; "perl": t/*.t alone, "roots":
# what enters other Debians.  "check" says which are missing, "install"
# installs them.  Never asks anything.

set -u

. "${0%/*}/env.sh"

mode=$1
target=$2


# package, unless the command (the second argument) is there already

unless()
{
    for command in $2; do
        if command -v "$command" > /dev/null; then
            return
        fi
    done

    packages="$packages $1"
}


installed()
{
    case $(dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2> /dev/null) in
    ii*) return 0 ;;
    *)   return 1 ;;
    esac
}


as_root()
{
    if [ "$(id -u)" = 0 ]; then
        env DEBIAN_FRONTEND=noninteractive "$@" < /dev/null
    else
        sudo -n env DEBIAN_FRONTEND=noninteractive "$@" < /dev/null
    fi
}


apt()
{
    as_root apt-get -q -y -o DPkg::Lock::Timeout=300 \
        -o Acquire::Retries=2 -o Acquire::http::Timeout=30 \
        -o Dpkg::Options::=--force-confold "$@"
}


install_packages()
{
    # shellcheck disable=SC2086
    apt install --no-install-recommends $missing
}


# without package lists nothing can be installed; old ones often do

fetch()
{
    if [ -n "$(find /var/lib/apt/lists -name '*_Packages*' 2> /dev/null)" ]
    then
        install_packages && return
    fi

    apt update && install_packages
}


packages="build-essential libsqlite3-dev libssl-dev libyajl-dev
          libcurl4-openssl-dev libhiredis-dev"

if [ -n "${NGINX_SRC:-}" ]; then
    packages="$packages libpcre2-dev zlib1g-dev"
else
    packages="$packages nginx-dev"
    unless nginx nginx
fi

if [ "$target" = run ] || [ "$target" = test ]; then
    packages="$packages ca-certificates"
    unless nodejs "node nodejs"
    unless npm npm
fi

case $target in
test|perl|valgrind|asan)
    packages="$packages sqlite3 perl procps psmisc openssl curl shellcheck
              libio-socket-ssl-perl
              libprotocol-websocket-perl libtest-base-perl libtext-diff-perl
              libtest-longstring-perl liblist-moreutils-perl
              libipc-run-perl libwww-perl liburi-perl libhttp-message-perl"
esac

case $target in
test|perl|valgrind|asan)
    unless redis-server "redis-server valkey-server"
esac

case $target in
test|fuzz)
    packages="$packages clang libclang-rt-dev llvm"
esac

case ${CC:-} in
clang) packages="$packages clang" ;;
esac

case $target in
deb)      packages="$packages debhelper" ;;
roots)    packages="debootstrap iproute2 systemd-container" ;;
test)     unless chromium "chromium chromium-browser google-chrome" ;;
lint)     packages="$packages clang-tidy cppcheck" ;;
valgrind) packages="$packages valgrind libc6-dbg" ;;
bench)    packages="$packages perl util-linux" ;;
esac

if ! command -v dpkg-query > /dev/null; then
    say "This is not Debian.  Needed are, by Debian's names:"
    say $packages
    [ "$mode" = check ] && exit 0
    exit 1
fi

missing=

for package in $packages; do
    case " $missing " in
    *" $package "*) continue ;;
    esac

    installed "$package" || missing="$missing $package"
done

[ -z "$missing" ] && exit 0

if [ "$mode" = check ]; then
    die "Missing Debian packages:$missing"
fi

if [ "$(id -u)" != 0 ] && ! sudo -n true 2> /dev/null; then
    die "Missing Debian packages:$missing
Not root, and no sudo without a password: install them, then try again."
fi

say "installing Debian packages:$missing"

fetch || die "Could not install the missing Debian packages:$missing"
