#!/bin/bash
# deb.sh: a Debian package for the installed nginx, in build/deb/, of the
# sources and of what is in conf/debian/.

set -eu

. "${0%/*}/env.sh"

out=$build/deb


# What the sources call their version, with the commit and its time where no
# tag says that it is that one.  Then the Debian: each has an nginx of its own,
# and the next Debian's package is the newer one.

version()
{
    number=$(sed -n 's/^#define NGX_CHAT_VERSION *"\(.*\)"/\1/p' \
             ngx_chat_module/*/*.h)

    if [ -e .git ] && ! git describe --tags --exact-match > /dev/null 2>&1
    then
        number=$number+git$(TZ=UTC git log -1 --format=%cd.%h \
                            --date=format-local:%Y%m%d%H%M%S)
    fi

    echo "$number+$(. /etc/os-release && echo "deb${VERSION_ID:-.$ID}")"
}


changes()
{
    entry="package of the sources in build/deb"
    date=$(date -R)

    if [ -e .git ]; then
        entry="Commit $(git log -1 --format=%h)."
        date=$(git log -1 --format=%cD)
    fi

    cat << END
libnginx-mod-chat ($1) unstable; urgency=medium

  * $entry

 -- $(sed -n 's/^Maintainer: //p' conf/debian/control)  $date

END
    cat conf/debian/changelog
}


rm -rf "$out"
mkdir -p "$out"

version=$(version)
tree=$out/libnginx-mod-chat-$version

mkdir "$tree"
cp -r config ngx_chat_module sql conf LICENSE README.md "$tree/"
mv "$tree/conf/debian" "$tree/debian"
changes "$version" > "$tree/debian/changelog"

say "building libnginx-mod-chat $version"

(cd "$tree" && dpkg-buildpackage -b -us -uc) > "$out/build.log" 2>&1 \
    < /dev/null || { tail -n 20 "$out/build.log"
                     die "The build failed, see $out/build.log"; }

for deb in "$out"/libnginx-mod-chat_*.deb; do
    echo "$deb"
    dpkg-deb -f "$deb" Depends
done

echo
echo "To install it:  apt install $deb"
