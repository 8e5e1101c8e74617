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

for page in "$@"; do
    script=$(mktemp)
    commands "$page" >"$script"
    [ "$(wc -l <"$script")" -gt 2 ] || {
        printf 'check_docs: %s has no sh block\n' "$page" >&2
        exit 1
    }
    # A process group of its own, so that what a page started can be ended with it.
    status=0
    setsid timeout --kill-after=5 $PAGE_TIMEOUT_S bash "$script" >&2 </dev/null || status=$?
    rm -f "$script"
    if [ $status -ne 0 ]; then
        printf 'check_docs: %s: a command failed (status %d)\n' "$page" $status >&2
        exit 1
    fi
    printf 'check_docs: %s: every command ran\n' "$page" >&2
done
