# SPDX-License-Identifier: Apache-2.0
# ./dev fuzz [SECONDS] [TARGET...]: every libFuzzer target under ASan and UBSan, starting from its
# seed corpus, one on each core. New inputs are kept in build/fuzz/finds, crashes in
# build/fuzz/crashes.
. scripts/dev/build.sh

dev_fuzz() {
    local seconds=60 clang name corpus running=0 failed=0 passed=0

    if [[ ${1:-} =~ ^[0-9]+$ ]]; then
        seconds=$1
        shift
    fi
    dev_deps build check
    clang=$(find_llvm_tool clang) || die "fuzz: clang is missing; ./dev deps check installs it"
    build_configure fuzz "-DCMAKE_C_COMPILER=$clang"
    build_targets fuzz $(cut -d ' ' -f 1 build/fuzz/fuzz/targets.txt)
    mkdir -p build/fuzz/crashes
    while read -r name corpus; do
        if [ $# -gt 0 ] && ! fuzz_wanted "$name" "$@"; then
            continue
        fi
        if [ $running -ge "$(nproc)" ]; then
            wait -n && passed=$((passed + 1)) || failed=$((failed + 1))
            running=$((running - 1))
        fi
        fuzz_one "$name" "$corpus" "$seconds" &
        running=$((running + 1))
    done <build/fuzz/fuzz/targets.txt
    for ((; running > 0; running--)); do
        wait -n && passed=$((passed + 1)) || failed=$((failed + 1))
    done
    printf '%d passed, %d failed\n' $passed $failed
    [ $failed -eq 0 ] && [ $passed -gt 0 ]
}

fuzz_wanted() {
    local name=$1 wanted

    shift
    for wanted in "$@"; do
        [ "$name" = "$wanted" ] || [ "$name" = "fuzz_$wanted" ] && return 0
    done
    return 1
}

# fuzz_one NAME CORPUS SECONDS
fuzz_one() {
    local name=$1 finds=build/fuzz/finds/$1 log=build/fuzz/$1.log runs

    mkdir -p "$finds"
    if "build/fuzz/fuzz/$name" -max_total_time="$3" -timeout=10 -rss_limit_mb=2048 \
        -artifact_prefix="build/fuzz/crashes/$name-" -print_final_stats=1 \
        "$finds" "$2" >"$log" 2>&1; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        printf '%s: %s inputs in %s s, no crash\n' "$name" "${runs:-?}" "$3"
    else
        printf '%s: FAILED, %s says why\n' "$name" "$log"
        tail -n 30 "$log" >&2
        return 1
    fi
}
