# Sourced by the other scripts here: runs them in the repository's root, with
# a PATH that has nginx and a HOME for npm and browsers.

cd "$(dirname "$0")/../.." || exit 1

root=$(pwd -P)
build=$root/build

case $root in
*[[:space:]]*)
    echo "nginx's configure can't handle blanks in a path: $root" >&2
    exit 1
esac

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

mkdir -p "$build"

if [ -z "${HOME:-}" ] || [ ! -w "$HOME" ]; then
    HOME=$build/home
    mkdir -p "$HOME"
fi

export PATH HOME


say()
{
    echo "== $*"
}


die()
{
    echo "$*" >&2
    exit 1
}
