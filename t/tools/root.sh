# Sourced by bash scripts that need another Debian: root directories, made by
# debootstrap in build/roots/ and entered by chroot.
#
#     SUITE.base        what debootstrap has made; never entered
#     SUITE-NAME        a copy of it, for one purpose
#     SUITE-NAME.debs   the packages that were fetched for that
#
# What runs in one has its own mounts and processes, and all of them end with
# it.  A suite is bookworm, trixie or unstable.

. "${0%/*}/mirrors.sh"

roots=$build/roots


need_root()
{
    [ "$(id -u)" = 0 ] || die "Not root: chroot and mount want that."

    mkdir -p "$roots"
}


# How this machine's apt reaches its mirrors.

machine_settings()
{
    apt-config dump \
        | grep -E '^Acquire::(https?::|Retries|Check-Valid-Until)'
}


# root_base SUITE: makes it where it is not there yet

root_base()
{
    local base mirror

    base=$roots/$1.base

    [ -f "$base/.done" ] && return 0

    for mirror in $(mirrors); do
        rm -rf "$base"
        say "making a root of Debian $1 by debootstrap"

        if nice debootstrap --variant=minbase "$1" "$base" "$mirror" \
            > "$roots/$1.log" 2>&1 < /dev/null
        then
            # no services start, unless the purpose is to see them start
            printf '#!/bin/sh\nexit 101\n' > "$base/usr/sbin/policy-rc.d"
            chmod 755 "$base/usr/sbin/policy-rc.d"
            machine_settings > "$base/etc/apt/apt.conf.d/90machine"
            : > "$base/.done"
            return 0
        fi
    done

    tail -n 5 "$roots/$1.log" >&2
    echo "There is no root of Debian $1, see $roots/$1.log" >&2

    return 1
}


# root_copy SUITE NAME: anew

root_copy()
{
    root_base "$1" || return 1

    rm -rf "${roots:?}/$1-$2"
    cp -a "$roots/$1.base" "$roots/$1-$2"
}


# root_sources DIR: a copy of the repository, without what is built there, in
# its /chat; what was built in there stays

root_sources()
{
    mkdir -p "$1/chat"
    find "$1/chat" -mindepth 1 -maxdepth 1 ! -name build -exec rm -rf {} +

    tar -C "$root" -c --exclude=./build --exclude=./.git . | tar -C "$1/chat" -x
}


# root_run [--alone] [--bind DIR] DIR COMMAND...: as root in one of them, with
# the network; --alone: with a loopback interface of its own and no other.
# --bind: a folder of this machine is /src in there, read-only.

root_run()
{
    local alone= bind= dir debs

    while :; do
        case $1 in
        --alone) alone=--net; shift ;;
        --bind)  bind=$2; shift 2 ;;
        *)       break ;;
        esac
    done

    dir=$1
    shift

    cp -L --remove-destination /etc/resolv.conf /etc/hosts "$dir/etc/"
    debs=$dir.debs
    mkdir -p "$debs/partial" "$dir/src"

    # shellcheck disable=SC2016,SC2086
    nice unshare --mount --pid --fork --kill-child $alone -- sh -c '
        set -e
        dir=$1 debs=$2 bind=$3 alone=$4
        shift 4

        mount --make-rprivate /
        mount -t proc proc "$dir/proc"
        mount --rbind /dev "$dir/dev"
        mount -t tmpfs tmpfs "$dir/run"
        mkdir "$dir/run/lock"
        mount --bind "$debs" "$dir/var/cache/apt/archives"

        if [ -n "$bind" ]; then
            mount --bind "$bind" "$dir/src"
            mount -o remount,bind,ro "$dir/src"
        fi

        [ -z "$alone" ] || ip link set lo up

        # bash is the first process, and takes orphans
        exec chroot "$dir" /usr/bin/env -i HOME=/root LC_ALL=C.UTF-8 \
            PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
            DEBIAN_FRONTEND=noninteractive \
            /bin/bash -c "\"\$@\"; exit \$?" bash "$@"
    ' sh "$dir" "$debs" "$bind" "$alone" "$@" < /dev/null
}


# root_boot DIR COMMAND: as a machine with systemd and loopback only, which
# runs one command of the shell in /root, and is halted then; what it prints is
# in /root/output.

root_boot()
{
    local dir=$1

    mkdir -p "$dir/etc/systemd/system/graphical.target.wants"

    cat > "$dir/etc/systemd/system/command.service" << END
[Unit]
After=multi-user.target

[Service]
Type=oneshot
WorkingDirectory=/root
Environment=HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
ExecStart=/bin/sh -c "$2"
StandardOutput=append:/root/output
StandardError=inherit
ExecStopPost=systemctl --no-block halt
END

    ln -sf ../command.service \
        "$dir/etc/systemd/system/graphical.target.wants/"

    nice timeout -k 10 1800 systemd-nspawn --directory="$dir" --boot \
        --private-network --register=no --keep-unit \
        --bind="$dir.debs:/var/cache/apt/archives" < /dev/null
}
