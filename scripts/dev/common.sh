# SPDX-License-Identifier: Apache-2.0
# What every ./dev command shares: messages, places and the number of jobs. Sourced, never run.

export SPATE_CACHE=${SPATE_CACHE:-${HOME:-/root}/.cache/spate}
SPATE_JOBS=${SPATE_JOBS:-$(nproc)}

# Progress and messages go to stderr, so that stdout holds results only.
say() {
    printf '%s\n' "$*" >&2
}

die() {
    printf 'dev: %s\n' "$*" >&2
    exit 1
}

# in_ci: true when nothing may be skipped.
in_ci() {
    [ "${CI:-}" = true ]
}

# version_at_least HAVE WANT: compares dotted numbers.
version_at_least() {
    [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

# The newest clang tool of a name: clang-19 before clang. Prints its command, or fails.
find_llvm_tool() {
    local version

    for version in 19 21 20 18 17 16; do
        if command -v "$1-$version" >/dev/null; then
            printf '%s\n' "$1-$version"
            return 0
        fi
    done
    command -v "$1"
}

# All files that are ours, one a line. A checkout lists them by git, an unpacked archive by find.
tree_files() {
    if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
        git ls-files --cached --others --exclude-standard
    else
        find . \( -name build -o -name .git \) -prune -o -type f -print | sed 's|^\./||'
    fi
}

c_files() {
    tree_files | grep '\.[ch]$'
}
