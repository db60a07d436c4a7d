#!/bin/sh
# npm.sh [--omit=dev]: the packages of t/e2e/package-lock.json, in
# build/node_modules; all of them, or those that the demo needs.

set -u

. "${0%/*}/env.sh"

omit=${1:-}
lock=t/e2e/package-lock.json

# npm ci removes them with all else that is there
stamp=$build/node_modules/.chat-lock
all=$stamp-all

[ -f "$lock" ] || exit 0
cmp -s "$lock" "$all" && exit 0
[ -n "$omit" ] && cmp -s "$lock" "$stamp" && exit 0

say "fetching packages from npm: see $lock"

cp t/e2e/package.json "$lock" "$build/"

# shellcheck disable=SC2086
if ! npm ci --prefix "$build" $omit --ignore-scripts --no-audit --no-fund \
    --no-update-notifier --loglevel=error --prefer-offline \
    --fetch-retries=1 --fetch-timeout=60000 < /dev/null
then
    packages=$(sed -n 's/^    "\(.*\)": "\(.*\)".*/ \1@\2/p' \
               t/e2e/package.json | tr -d '\n')
    die "Missing npm packages:$packages
They could not be fetched; see above."
fi

cp "$lock" "$stamp"
[ -n "$omit" ] || cp "$lock" "$all"
