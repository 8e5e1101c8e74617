#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: check_docs.sh PAGE...: runs every ```sh block of each page, in order, in one shell per page
# that stops at the first command that fails. Blocks of another kind are not run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

PAGE_TIMEOUT_S=300

# commands PAGE: its blocks, each line shown before it runs.
commands() {
    printf 'set -euo pipefail\nset -v\n'
    awk '/^```sh$/ { inside = 1; next } /^```$/ { inside = 0; next } inside' "$1"
}

# What a page started and left: the processes that name its folder, or stand in its group.
end_leftovers() {
    local pid

    kill -TERM -- "-$1" 2>/dev/null || true
    for pid in $(grep -alF "$2/" /proc/[0-9]*/cmdline 2>/dev/null | cut -d / -f 3); do
        kill -TERM "$pid" 2>/dev/null || true
    done
}

failed=0
for page in "$@"; do
    # Everything that the page makes by mktemp lies in here.
    folder=$(mktemp -d "${TMPDIR:-/tmp}/spate-docs.XXXXXX")
    commands "$page" >"$folder/commands"
    [ "$(wc -l <"$folder/commands")" -gt 2 ] || {
        printf 'check_docs: %s has no sh block\n' "$page" >&2
        exit 1
    }
    TMPDIR=$folder setsid timeout --foreground --kill-after=5 $PAGE_TIMEOUT_S \
        bash "$folder/commands" >&2 </dev/null &
    group=$!
    if wait $group; then
        printf 'check_docs: %s: every command ran\n' "$page" >&2
    else
        printf 'check_docs: %s: the command shown last failed\n' "$page" >&2
        failed=1
    fi
    end_leftovers $group "$folder"
    rm -rf "$folder"
done
exit $failed
