# SPDX-License-Identifier: Apache-2.0
# What later parts of a test run need is made while earlier ones run, which wait more than they work: one
# thing after the other, and only by processor time that nobody else wants.
#
#     making_begin asan programs     -> make_asan, then make_programs
#     making_wait asan               -> when the first is made, or failed

MAKING_FOLDER=build/making
MAKING_GROUP=

# making_begin NAME...: a group of processes of its own, which goes with this shell.
making_begin() {
    rm -rf "$MAKING_FOLDER"
    mkdir -p "$MAKING_FOLDER"
    trap making_end EXIT
    set -m
    making_all "$@" &
    MAKING_GROUP=$!
    set +m
}

making_all() {
    local name status

    chrt --idle --pid 0 "$BASHPID" || say "making: no idle priority here; it goes on without"
    for name in "$@"; do
        set +e
        (
            set -e
            "make_$name"
        ) >"$MAKING_FOLDER/$name.log" 2>&1
        status=$?
        set -e
        printf '%s\n' $status >"$MAKING_FOLDER/$name.status.new"
        mv "$MAKING_FOLDER/$name.status.new" "$MAKING_FOLDER/$name.status"
    done
}

# making_wait NAME: shows what is said from now on, and fails, with its last words, if that failed.
making_wait() {
    local name=$1 log=$MAKING_FOLDER/$1.log began=$SECONDS shown size status

    shown=$(making_size "$log")
    while [ ! -e "$MAKING_FOLDER/$name.status" ] && kill -0 "$MAKING_GROUP" 2>/dev/null; do
        sleep 0.5
        size=$(making_size "$log")
        [ "$size" -eq "$shown" ] || head -c "$size" "$log" | tail -c +$((shown + 1)) >&2
        shown=$size
    done
    status=$(cat "$MAKING_FOLDER/$name.status" 2>/dev/null || printf 'ended before its time')
    say "making: waited $((SECONDS - began)) s for $name"
    [ "$status" != 0 ] || return 0
    tail -n 20 "$log" >&2 || true
    say "making $name failed ($status); $log says more"
    return 1
}

making_size() {
    stat -c %s "$1" 2>/dev/null || printf 0
}

making_end() {
    [ -z "$MAKING_GROUP" ] || kill -- -"$MAKING_GROUP" 2>/dev/null || true
}
