#!/bin/bash
# test_container.sh: the steps of conf/Containerfile in roots of Debian, since
# an engine can't be taken for granted, and what comes out, run as it says.
# TAP, and how many passed.
#
# Not shown by that: the engine's own part, such as the format of the image,
# volumes, published ports.

set -u

. "${0%/*}/env.sh"
. "${0%/*}/root.sh"

file=conf/Containerfile
log=$build/test-container.log
n=0
passed=0

declare -A stages=()
stage=
workdir=/
user=root
health=
command=
signal=
last=


ok()
{
    name=$1
    shift
    n=$((n + 1))

    if "$@" >> "$log" 2>&1; then
        passed=$((passed + 1))
        echo "ok $n - $name"
        return 0
    fi

    echo "not ok $n - $name"
    tail -n 10 "$log" | sed 's/^/# /'

    return 1
}


# from IMAGE [AS NAME]: a root of that Debian, without documents, as the slim
# images are

from()
{
    local suite=${1##*debian:}

    suite=${suite%-slim}
    stage=$suite-stage$((${#stages[@]} + 1))
    stages[${3:-last}]=$roots/$stage
    workdir=/ user=root

    root_copy "$suite" "${stage#*-}" || return 1
    echo 'path-exclude /usr/share/doc/*' \
        > "$roots/$stage/etc/dpkg/dpkg.cfg.d/slim"
}


# copy [--from=STAGE] SOURCE... DESTINATION

copy()
{
    local from=$root to list

    case $1 in
    --from=*) from=${stages[${1#--from=}]}; shift ;;
    esac

    to=${*: -1}
    [ "${to#/}" != "$to" ] || to=$workdir/$to
    to=$roots/$stage$to

    for list in "${@:1:$#-1}"; do
        # a pattern may name several; a folder's content is what is copied
        for path in $from/${list#/}; do
            if [ -d "$path" ]; then
                mkdir -p "$to" && cp -r "$path/." "$to/" || return 1

            else
                mkdir -p "${to%/*}" && cp "$path" "$to" || return 1
            fi
        done
    done
}


run()
{
    root_run "$roots/$stage" setpriv --reuid "$user" --regid "$user" \
        --init-groups sh -c "cd $workdir && $1"
}


# The words of a command, in $words: JSON's ["a", "b"], whose escapes are those
# of printf, or what a shell gets.

words()
{
    if [ "${1#[}" = "$1" ]; then
        words=(sh -c "$1")
        return
    fi

    local text=${1#[} word

    text=${text%]}
    words=()

    while [[ $text =~ ^[[:space:],]*\"(([^\"\\]|\\.)*)\"(.*)$ ]]; do
        word=${BASH_REMATCH[1]}
        text=${BASH_REMATCH[3]}
        words+=("$(printf '%b' "${word//\\\"/\"}")")
    done
}


step()
{
    local key=${1%% *} rest=${1#* }

    case $key in
    FROM)        from $rest ;;
    COPY)        set -f; set -- $rest; set +f; copy "$@" ;;
    RUN)         run "$rest" ;;
    WORKDIR)     workdir=$rest; mkdir -p "$roots/$stage$rest" ;;
    USER)        user=$rest ;;
    STOPSIGNAL)  signal=${rest#SIG} ;;
    HEALTHCHECK) health=${rest#*CMD } ;;
    CMD)         command=$rest ;;
    VOLUME)      [ -d "$roots/$stage$rest" ] ;;
    EXPOSE)      port=$rest ;;
    *)           echo "what is $key?"; return 1 ;;
    esac
}


# The instructions, each in a line.

instructions()
{
    sed -e '/^#/d' "$file" | sed -e :a -e '/\\$/{N;s/\\\n */ /;ba' -e '}' \
        | grep .
}


# Inside: starts what CMD says, as the user, on files that the user owns, as an
# engine has it, and asks it.

write_try()
{
    words "$health"
    health=$(printf '%q ' "${words[@]}")
    words "$command"
    command=$(printf '%q ' "${words[@]}")

    cat > "$roots/$stage/root/try" << END
set -u

as() { exec setpriv --reuid $user --regid $user --init-groups "\$@"; }

# healthy: within 10 seconds
healthy()
{
    for _ in \$(seq 100); do
        (as $health) 2> /dev/null && return
        sleep 0.1
    done
    return 1
}

unhealthy() { ! (as $health); }

# ask METHOD BODY: the answer
ask()
{
    exec 3<> /dev/tcp/127.0.0.1/$port
    {
        printf '%s /messages HTTP/1.0\r\n' "\$1"
        printf 'Content-Type: application/json\r\n'
        printf 'Content-Length: %d\r\n\r\n%s' "\${#2}" "\$2"
    } >&3
    cat <&3
}

check()
{
    name=\$1
    shift
    "\$@" > /dev/null 2>&1 && echo "\$name: yes" || echo "\$name: no"
}

no_root()
{
    ! grep -h '^Uid:' \$(grep -l '^Name:.nginx' /proc/[0-9]*/status) \
        | grep -w 0
}

quiet() { ! grep -E '\[(warn|error|crit|alert|emerg)\]' /tmp/log; }

has() { grep -q "\$1" "\$2"; }

touch /tmp/log
chown $user /tmp/log

printf 'chat_app 1 { key k; secret s; }\n' > /etc/nginx/chat_app.conf

for turn in first second; do
    as $command >> /tmp/log 2>&1 &
    nginx=\$!

    check "\$turn start, healthy" healthy
    [ \$turn = first ] && ask POST '{"content":"kept"}' > /tmp/answer
    check "\$turn start, a POST was answered" has '^HTTP/1.1 201' /tmp/answer
    ask GET '' > /tmp/history
    check "\$turn start, it is in history" has '"content":"kept"' /tmp/history
    check "\$turn start, no process is root" no_root
    check "\$turn start, access is logged" has 'GET /messages' /tmp/log
    kill -$signal \$nginx
    wait \$nginx
    check "\$turn start, it stopped well" test \$? = 0
    check "\$turn start, then it is not healthy" unhealthy
done

check 'nothing alarming is logged' quiet
cat /tmp/log >&2
END
}


need_root
: > "$log"

while IFS= read -r instruction; do
    ok "$(printf '%.60s' "$instruction")" step "$instruction" || break
done < <(instructions)

if [ "$n" = "$passed" ]; then
    write_try

    while IFS= read -r line; do
        ok "${line%: *}" test "${line##*: }" = yes
        last=${line%: *}
    done < <(root_run --alone "$roots/$stage" bash /root/try 2>> "$log")

    ok 'all of it has run' test "$last" = 'nothing alarming is logged'
fi

echo "1..$n"
echo
echo "$passed passed, $((n - passed)) failed"

[ "$n" = "$passed" ]
