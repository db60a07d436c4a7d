#!/bin/bash
# deb_in_root.sh OLDER NEWER: what the package does to an nginx that runs, as
# TAP.  For a clean Debian that has systemd, loopback only, and no nginx yet;
# see test_deb.sh.

set -u

older=$1
newer=$2

n=0
doc=/usr/share/doc/libnginx-mod-chat
conf=/etc/nginx/conf.d/chat.conf
link=/etc/nginx/modules-enabled/50-mod-chat.conf
module=/usr/lib/nginx/modules/ngx_chat_module.so
database=/var/lib/nginx-chat/chat.db
url=http://127.0.0.1:3000


# ok NAME COMMAND...

ok()
{
    name=$1
    shift
    n=$((n + 1))
    mv /tmp/said /tmp/said.before 2> /dev/null

    if "$@" > /tmp/said 2>&1; then
        echo "ok $n - $name"
        return
    fi

    echo "not ok $n - $name"
    tail -n 20 /tmp/said | sed 's/^/# /'
    tail -n 5 /var/log/nginx/error.log 2> /dev/null | sed 's/^/# log: /'
}


# not COMMAND...

not()
{
    ! "$@"
}


# until_ COMMAND...: for at most 20 seconds

until_()
{
    for _ in $(seq 200); do
        "$@" && return
        sleep 0.1
    done

    return 1
}


install()
{
    apt-get -q -y -o Dpkg::Options::=--force-confold --allow-downgrades \
        --reinstall --no-install-recommends install "$@"
}


master()
{
    cat /run/nginx.pid
}


# is_master PID

is_master()
{
    [ "$(master)" = "$1" ] && kill -0 "$1"
}


# loads installed: the master has mapped the module that is installed;
# loads nothing: it has mapped none

loads()
{
    maps=$(cat "/proc/$(master)/maps" | grep -o "$module.*")
    echo "$maps"

    case $1 in
    installed) [ -n "$maps" ] && ! echo "$maps" | grep -q deleted ;;
    nothing) [ -r "/proc/$(master)/maps" ] && [ -z "$maps" ] ;;
    esac
}


answers()
{
    curl -sf -o /dev/null http://127.0.0.1/
}


# The example listens: what a reload brings.

listens()
{
    until_ curl -sf -o /dev/null "$url/messages"
}


# post TEXT: a 201

post()
{
    [ "$(curl -s -o /tmp/message -w '%{http_code}' --data-urlencode \
         "content=$1" "$url/messages")" = 201 ]
}


# has TEXT...: they, and no others, are in history, in this order

has()
{
    want=$(printf '%s\n' "$@")
    got=$(curl -s "$url/messages" | grep -o '"content":"[^"]*"' \
          | sed 's/.*:"\(.*\)"/\1/')
    echo "$got"

    [ "$got" = "$want" ]
}


# The commands of README.Debian, as they stand: all that it indents up to the
# first text that is no command.

readme_commands()
{
    sed -n '/^    install -m/,/^Debian.s nginx/s/^    //p' \
        "$doc/README.Debian" > /tmp/commands
    cat /tmp/commands
    bash -e /tmp/commands
}


# Posts all the time: the statuses, a line each.

post_on()
{
    i=0

    while [ ! -e /tmp/stop ]; do
        i=$((i + 1))
        curl -s -o /dev/null -w '%{http_code}\n' -d "content=while $i" \
            "$url/messages"
    done > /tmp/statuses
}


# A stream of events, which ends when its worker does.

listen_on()
{
    key=$(sed -n 's/^ *key *\(.*\);/\1/p' /etc/nginx/chat_app.conf)
    curl -sN "$url/events/$key?channels=chat" > /tmp/events &
    stream=$!
}


gone()
{
    for path; do
        [ -e "$path" ] || [ -L "$path" ] || continue
        echo "$path is there"
        return 1
    done
}


# -- nginx alone

ok 'nginx is installed' install nginx
ok 'and runs' answers

first=$(master)

# -- the package, the first time

ok 'the package is installed' install "$older"
ok 'it is enabled' test -e "$link"
ok 'by the file of the package' \
    grep -qx 'load_module modules/ngx_chat_module.so;' "$link"
ok 'nginx loads it by a reload' until_ loads installed
ok 'in the same master' is_master "$first"
ok 'which serves as before' answers
ok 'and makes no database' gone "$(dirname $database)"

# -- a chat, by README.Debian alone

ok 'the commands of README.Debian' readme_commands
ok 'have nginx listen' listens
ok 'with the message that they post' until_ has hello
ok 'a POST is answered' post second
ok 'and a GET' has hello second
ok 'only root reads the secret' \
    test "$(stat -c %a:%U /etc/nginx/chat_app.conf)" = 600:root
ok 'the database belongs to the workers' \
    test "$(stat -c %U $database)" = www-data
ok 'nginx -t finds no fault' nginx -t

# -- an upgrade, while somebody posts and somebody listens

listen_on
ok 'somebody listens' until_ post third
ok 'and hears' until_ grep -q third /tmp/events

post_on &
poster=$!

ok 'the package is upgraded' install "$newer"
ok 'a new master took over' not is_master "$first"
ok 'with the new module' loads installed
ok 'the old master ends' until_ not kill -0 "$first"
ok 'who listened is told to come back' until_ not kill -0 "$stream"

touch /tmp/stop
wait "$poster"

ok 'somebody posted all the while' test "$(wc -l < /tmp/statuses)" -gt 10
ok 'and was always answered' not grep -qvx 201 /tmp/statuses
ok 'a POST is answered after that' post last
ok 'status tells' curl -sf "$url/chat_status"

ok 'history has all' test "$(curl -s "$url/messages?limit=1000" \
    | grep -o '"id":' | wc -l)" = $(($(wc -l < /tmp/statuses) + 4))

second=$(master)

# -- upgrades that must not touch nginx

echo 'no_such_directive;' > /etc/nginx/conf.d/broken.conf
ok 'the package is installed again, with a broken configuration' \
    install "$newer"
ok 'it says what to do' grep -q 'correct its configuration' /tmp/said.before
ok 'the master stays' is_master "$second"
ok 'and serves' post broken
rm /etc/nginx/conf.d/broken.conf

mv $conf /root/
rm "$link"
service nginx reload > /tmp/said 2>&1
ok 'the operator disables the module' until_ loads nothing
ok 'the package is installed again' install "$older"
ok 'and stays disabled' gone "$link"
ok 'the master stays, since it has not loaded the module' is_master "$second"
ok 'and serves' answers

ln -s /usr/share/nginx/modules-available/mod-chat.conf "$link"
mv /root/chat.conf $conf
service nginx reload > /tmp/said 2>&1
ok 'enabled again' listens
ok 'the chat goes on' post again

# -- remove

mv $conf /root/
ok 'the package is removed' apt-get -q -y remove libnginx-mod-chat
ok 'it is disabled' gone "$link" "$module"
ok 'nginx lets go of it' until_ loads nothing
ok 'in the same master' is_master "$second"
ok 'which serves' answers
ok 'the database is there' test -s "$database"

mv /root/chat.conf $conf
ok 'installed again' install "$newer"
ok 'it is enabled again' test -e "$link"
ok 'and the chat goes on' listens
ok 'with its history' curl -sf "$url/messages?limit=1"
ok 'and a POST' post 'after all'

# -- purge, with the chat's configuration in place

third=$(master)
ok 'the package is purged' apt-get -q -y purge libnginx-mod-chat
ok 'nothing of it is left' gone "$link" "$link.removed" "$module" "$doc" \
    /usr/share/nginx/modules-available/mod-chat.conf
ok 'dpkg knows it no more' not dpkg-query -s libnginx-mod-chat
ok 'the database is there' test -s "$database"
ok 'nginx goes on, since it could not be reloaded' is_master "$third"
ok 'with the chat' post 'nothing lost'

rm $conf
service nginx reload > /tmp/said 2>&1
ok 'and lets go of it once it is not configured' until_ loads nothing
ok 'and serves' answers
ok 'no worker died' not grep -E '\[alert\]|exited on signal' \
    /var/log/nginx/error.log

echo "1..$n"
