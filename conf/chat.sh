#!/bin/sh

# chat.sh: asks chat_api from the shell, by openssl and curl.
#
# openssl before 4.0 takes the key of an HMAC on its command line only, where
# ps shows it to everybody, so the HMAC is made here of two plain hashes.  The
# signed URL and the data go to curl by descriptors.  This asks of the shell
# that its printf is a builtin, as it is in dash, bash and busybox.

set -u

LC_ALL=C
export LC_ALL

name=${0##*/}


usage()
{
    cat << END
Usage: $name trigger CHANNEL EVENT [DATA]   without DATA: what stdin has
       $name channels [PREFIX]              those that begin with PREFIX
       $name channel CHANNEL
       $name users CHANNEL                  members of a presence channel
       $name terminate USER                 closes the connections of a user

Settings, from the environment:
       CHAT_URL                 such as https://chat.example.com
       CHAT_APP                 the id that chat_app has
       CHAT_KEY, CHAT_SECRET    the key and the secret in chat_app

The answer is JSON.  Exits with 0, with 1 if the server refuses, with 2 if the
command or a setting is wrong, with 3 if there is no answer.
END
}


die()
{
    status=$1
    shift
    printf '%s: %s\n' "$name" "$*" >&2
    exit "$status"
}


# All but letters, digits and -._~ as %XX.

escape()
{
    printf %s "$1" | od -A n -v -t x1 | awk '
        BEGIN {
            for (i = 45; i < 127; i++) {
                c = sprintf("%c", i)

                if (c ~ /[A-Za-z0-9._~-]/) {
                    plain[sprintf("%02x", i)] = c
                }
            }
        }
        {
            for (i = 1; i <= NF; i++) {
                printf "%s", ($i in plain ? plain[$i] : "%" toupper($i))
            }
        }'
}


# A string of JSON.

quote()
{
    printf '%s\n' "$1" | awk '
        {
            gsub(/[\\"]/, "\\\\&")

            for (i = 1; i < 32; i++) {
                gsub(sprintf("%c", i), sprintf("\\u%04x", i))
            }

            printf "%s%s", (NR == 1 ? "\"" : "\\n"), $0
        }
        END { printf "\"" }'
}


# xor NUMBER BYTE ...: the bytes in the form that printf %b reads.

xor()
{
    mask=$1
    shift

    numbers=
    for byte in "$@"; do
        numbers="$numbers $((0x$byte ^ mask))"
    done

    # shellcheck disable=SC2086
    printf '\\0%03o' $numbers
}


# The HMAC-SHA256 of stdin with the secret.

sign()
{
    if [ ${#CHAT_SECRET} -gt 64 ]; then
        key=$(printf %s "$CHAT_SECRET" | openssl dgst -sha256 -binary \
              | od -A n -v -t x1)
    else
        key=$(printf %s "$CHAT_SECRET" | od -A n -v -t x1)
    fi

    # shellcheck disable=SC2086
    set -- $key

    while [ $# -lt 64 ]; do
        set -- "$@" 00
    done

    inner=$(xor 0x36 "$@")
    outer=$(xor 0x5c "$@")

    {
        printf %b "$outer"
        { printf %b "$inner"; cat; } | openssl dgst -sha256 -binary
    } | openssl dgst -sha256 -r | cut -d ' ' -f 1
}


# request METHOD PATH BODY [NAME=VALUE ...], the names in their order.  Signed
# are the path as it is in the URL, and the values as they are before that.

request()
{
    method=$1
    path=/apps/$(escape "$CHAT_APP")$2
    body=$3
    shift 3

    query="auth_timestamp=$(date +%s)&auth_version=1.0"

    if [ -n "$body" ]; then
        md5=$(printf %s "$body" | openssl dgst -md5 -r | cut -d ' ' -f 1)
        query="$query&body_md5=$md5"
    fi

    text="auth_key=$CHAT_KEY&$query"
    query="auth_key=$(escape "$CHAT_KEY")&$query"

    for parameter in "$@"; do
        text="$text&$parameter"
        query="$query&${parameter%%=*}=$(escape "${parameter#*=}")"
    done

    signature=$(printf '%s\n%s\n%s' "$method" "$prefix$path" "$text" | sign)

    set -- --silent --show-error --max-time 60 --config /dev/fd/3 \
           --write-out '\n%{http_code}'

    if [ "$method" = POST ]; then
        set -- "$@" --header 'Content-Type: application/json' --data-binary @-
    fi

    answer=$(printf %s "$body" | curl "$@" 3<< END
url = "$CHAT_URL$path?$query&auth_signature=$signature"
END
    ) || die 3 "no answer from $CHAT_URL"

    code=${answer##*"
"}
    answer=${answer%"
"*}
    answer=${answer%"
"}

    case $code:$answer in
    2*)         printf '%s\n' "$answer" ;;
    *'<html>'*) die 1 "$CHAT_URL answered $code" ;;
    *)          die 1 "$CHAT_URL answered $code: $answer" ;;
    esac
}


command=${1-}
count=$#
[ $# -eq 0 ] || shift

case $command:$count in
trigger:[34]|channels:[12]|channel:2|users:2|terminate:2) ;;
help:1|-h:1|--help:1) usage; exit ;;
*)                    usage >&2; exit 2 ;;
esac

for tool in openssl curl; do
    command -v "$tool" > /dev/null || die 2 "$tool is not installed"
done

[ -n "${CHAT_URL-}" ]    || die 2 "CHAT_URL is not set"
[ -n "${CHAT_APP-}" ]    || die 2 "CHAT_APP is not set"
[ -n "${CHAT_KEY-}" ]    || die 2 "CHAT_KEY is not set"
[ -n "${CHAT_SECRET-}" ] || die 2 "CHAT_SECRET is not set"

CHAT_URL=${CHAT_URL%/}

# of a path before /apps/, all is signed
case $CHAT_URL in
http://*/*|https://*/*) prefix=/${CHAT_URL#*://*/} ;;
http://?*|https://?*)   prefix= ;;
*) die 2 "CHAT_URL has to begin with https:// or http://" ;;
esac

case $command in
trigger)
    [ $# -eq 3 ] || set -- "$@" "$(cat)"

    request POST /events "{\"name\":$(quote "$2")\
,\"channels\":[$(quote "$1")],\"data\":$(quote "$3")}"
    ;;

channels)
    request GET /channels "" ${1:+"filter_by_prefix=$1"} \
        info=subscription_count
    ;;

channel)
    case $1 in
    presence-cache-*)                        info=user_count,cache, ;;
    presence-*)                              info=user_count, ;;
    cache-*|private-cache-*|private-encrypted-cache-*) info=cache, ;;
    *)                                       info= ;;
    esac

    request GET "/channels/$(escape "$1")" "" "info=${info}subscription_count"
    ;;

users)
    request GET "/channels/$(escape "$1")/users" ""
    ;;

terminate)
    request POST "/users/$(escape "$1")/terminate_connections" "{}"
    ;;
esac
