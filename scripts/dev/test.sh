# SPDX-License-Identifier: Apache-2.0
# ./dev test: all that CI runs, or one part of it. Each part adds to one sum, and the last line is
# "N passed, N failed". Without CI=true a part whose tools are missing is left out, and said so; in
# CI it is a failure.
. scripts/dev/build.sh
. scripts/dev/making.sh

TEST_PASSED=0
TEST_FAILED=0
TEST_LEFT_OUT=()
TEST_JOBS=$((SPATE_JOBS + 1))     # some wait more than they work
TEST_FAILURES=build/test-failures # what the failed ones said, for the end of a long output

dev_test() {
    local parts=("$@") part began

    [ ${#parts[@]} -gt 0 ] || parts=(lint parity unit local clients asan cluster loss)
    for part in "${parts[@]}"; do
        case $part in
        lint | unit | local | parity | clients | asan | cluster | loss | tsan) ;;
        *) die "test: no part '$part'; there are lint, unit, local, parity, clients, asan, cluster, loss and tsan" ;;
        esac
    done
    if in_ci; then
        dev_deps all
    else
        dev_deps build
    fi
    test_build
    test_make_ahead "${parts[@]}"
    : >"$TEST_FAILURES"
    for part in "${parts[@]}"; do
        say "test: $part"
        began=$SECONDS
        "test_$part"
        say "test: $part took $((SECONDS - began)) s"
    done
    [ ${#TEST_LEFT_OUT[@]} -eq 0 ] || say "test: left out: ${TEST_LEFT_OUT[*]}"
    [ ! -s "$TEST_FAILURES" ] || say "test: what failed, once more:"
    cat "$TEST_FAILURES" >&2
    say "test: took $SECONDS s in all"
    printf '%d passed, %d failed\n' $TEST_PASSED $TEST_FAILED
    [ $TEST_FAILED -eq 0 ] && [ $TEST_PASSED -gt 0 ]
}

test_build() {
    if ! grep -qs '^SPATE_WERROR:BOOL=ON' build/dev/CMakeCache.txt; then
        build_configure dev -DSPATE_WERROR=ON
    fi
    build_targets dev all
}

# What the parts named need besides is made behind them.
test_make_ahead() {
    local wanted=()

    [[ " $* " != *" asan "* ]] || wanted+=(asan)
    if [[ " $* " == *" cluster "* || " $* " == *" loss "* ]] && [ "$(id -u)" -eq 0 ]; then
        dev_deps cluster images
        wanted+=(programs)
    fi
    [ ${#wanted[@]} -eq 0 ] || making_begin "${wanted[@]}"
}

make_asan() {
    build_configure asan
    build_targets asan all
}

# Kubernetes and what belongs to it; once, into the cache.
make_programs() {
    PYTHONPATH=$SPATE_ROOT/tests/cluster python3 -m testbed build
}

# test_add PASSED FAILED
test_add() {
    TEST_PASSED=$((TEST_PASSED + $1))
    TEST_FAILED=$((TEST_FAILED + $2))
}

# test_failed NAME WHY...
test_failed() {
    say "test: FAILED: $*"
    printf 'FAILED: %s\n' "$*" >>"$TEST_FAILURES"
    test_add 0 1
}

# test_run NAME COMMAND...: a check that is one test by itself.
test_run() {
    local name=$1

    shift
    if "$@"; then
        test_add 1 0
    else
        test_failed "$name"
    fi
}

# test_sum NAME COMMAND...: a script whose last line is "N passed, N failed". One without such a line
# has broken, and one that passed and failed nothing has tested nothing.
test_sum() {
    local name=$1 output passed failed

    shift
    output=$("$@") || true
    read -r passed failed < <(printf '%s\n' "$output" | tail -n 1 |
        sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p') || true
    say "test: $name: ${passed:-no} passed, ${failed:-no} failed"
    if [ -z "${passed:-}" ] || [ $((passed + failed)) -eq 0 ]; then
        test_failed "$name tested nothing"
    else
        test_add "$passed" "$failed"
        [ "$failed" -eq 0 ] || printf 'FAILED: %s of %s\n' "$failed" "$name" >>"$TEST_FAILURES"
    fi
}

# test_missing NAME WHY: in CI a missing part is a failure.
test_missing() {
    if in_ci; then
        test_failed "$1: $2"
    else
        TEST_LEFT_OUT+=("$1 ($2)")
    fi
}

# test_ctest PRESET LABEL JOBS: runs the tests of a label and adds them up. A label without tests is
# a failure: a filter that matches nothing must not look like success.
test_ctest() {
    test_ctest_log "build/$1/ctest-$2.log" "$2" --test-dir "build/$1" -L "^$2\$" -j "$3"
}

# test_ctest_log LOG WHAT OPTION...
test_ctest_log() {
    local log=$1 what=$2 counts total failed

    shift 2
    ctest "$@" --output-on-failure --no-tests=error 2>&1 | tee "$log" >&2 || true
    # "97% tests passed, 2 tests failed out of 61"
    counts=$(sed -n 's/.*tests passed, \([0-9]*\) tests failed out of \([0-9]*\)$/\1 \2/p' "$log")
    if [ -z "$counts" ]; then
        test_failed "no test of '$what' ran"
        return
    fi
    read -r failed total <<<"$counts"
    test_add $((total - failed)) "$failed"
    test_last_words "$log" >>"$TEST_FAILURES"
}

# test_last_words LOG: of each test that ctest says failed, its line and the last of its output.
test_last_words() {
    awk -v most=40 '
        function flush(i) {
            for (i = count > most ? count - most : 0; i < count; i++) print lines[i]
            count = 0
        }
        /^ *[0-9]+\/[0-9]+ Test +#/ { flush(); failed = /\*\*\*/; if (failed) print; next }
        /^ *Start +[0-9]+: / || /^[0-9]+% tests passed/ { flush(); failed = 0 }
        failed { lines[count++] = $0 }
        END { flush() }' "$1"
}

test_lint() {
    . scripts/dev/lint.sh
    test_run lint dev_lint
}

test_unit() {
    test_ctest dev unit "$TEST_JOBS"
}

test_local() {
    . scripts/dev/local.sh
    test_local_all
}

test_parity() {
    . scripts/dev/parity.sh
    test_parity_all
}

test_clients() {
    . scripts/dev/clients.sh
    test_clients_all
}

test_cluster() {
    . scripts/dev/cluster.sh
    test_cluster_all
}

test_loss() {
    . scripts/dev/cluster.sh
    test_loss_all
}

# Not part of a plain ./dev test.
test_tsan() {
    . scripts/dev/tsan.sh
    test_tsan_all
}

# The unit suite once more, under AddressSanitizer and UndefinedBehaviorSanitizer.
test_asan() {
    if making_wait asan; then
        test_ctest asan unit "$TEST_JOBS"
    else
        test_failed 'the ASan build'
    fi
}
