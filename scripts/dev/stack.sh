# SPDX-License-Identifier: Apache-2.0
# A whole Spate of our own on this machine for scripts: in a state folder of its own, on free ports,
# ended by the pids that were started and by nothing else.

STACK_STATE=
STACK_PID=
STACK_GATEWAY=
STACK_BIN=$SPATE_ROOT/build/dev/bin
STACK_READY_S=30

# stack_spate ARGUMENT...: the CLI on this stack.
stack_spate() {
    SPATE_STATE=$STACK_STATE "$STACK_BIN/spate" "$@"
}

stack_up() {
    local tries

    STACK_STATE=$(mktemp -d "${TMPDIR:-/tmp}/spate-stack.XXXXXX")
    trap stack_down EXIT
    SPATE_STATE=$STACK_STATE "$STACK_BIN/spate" up --quiet --gateway-listen 127.0.0.1:0 \
        >"$STACK_STATE/up.log" 2>&1 </dev/null &
    STACK_PID=$!
    for ((tries = STACK_READY_S * 50; tries > 0; tries--)); do
        STACK_GATEWAY=$(sed -n 's|^gateway *\(http://.*\)/v1$|\1|p' "$STACK_STATE/up.log")
        [ -z "$STACK_GATEWAY" ] || return 0
        kill -0 $STACK_PID 2>/dev/null || break
        sleep 0.02
    done
    cat "$STACK_STATE/up.log" >&2
    die "spate up did not get ready"
}

# stack_apply FILE
stack_apply() {
    stack_spate apply -f "$1" >&2
}

# Ends what stack_up started. SIGTERM lets it drain; what has not ended then is killed, by pid.
stack_down() {
    local tries pid

    [ -n "$STACK_PID" ] || return 0
    kill -TERM "$STACK_PID" 2>/dev/null || true
    for ((tries = 200; tries > 0; tries--)); do
        kill -0 "$STACK_PID" 2>/dev/null || break
        sleep 0.05
    done
    if [ $tries -eq 0 ]; then
        say "stack: spate up did not end in ten seconds; killing what it started"
        for pid in "$STACK_PID" $(stack_pids); do
            kill -KILL "$pid" 2>/dev/null || true
        done
    fi
    wait "$STACK_PID" 2>/dev/null || true
    STACK_PID=
    [ -n "${SPATE_KEEP:-}" ] || rm -rf "$STACK_STATE"
}

# The pids whose command line names this stack's folder: no others can.
stack_pids() {
    grep -alF "$STACK_STATE/" /proc/[0-9]*/cmdline 2>/dev/null | cut -d / -f 3 | grep -vx self || true
}

# The pids of this stack's agents: one for each replica.
stack_agents() {
    local pid

    for pid in $(stack_pids); do
        if [ "$(readlink "/proc/$pid/exe" 2>/dev/null)" = "$STACK_BIN/spate-agent" ]; then
            printf '%s\n' "$pid"
        fi
    done
}
