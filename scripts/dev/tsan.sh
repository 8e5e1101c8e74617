# SPDX-License-Identifier: Apache-2.0
# Whole programs under ThreadSanitizer: agents, gateways, ledgers and operators that are killed, starved
# and stopped, none of which may race with itself. It takes many minutes: `./dev test` leaves it out.

# Those that wait for what happens, and not for how fast it does.
TSAN_TESTS='template tenant defaults money outages'

test_tsan_all() {
    local races=$SPATE_ROOT/build/tsan/races pattern

    if ! command -v python3 >/dev/null; then
        test_missing 'local tests under ThreadSanitizer' 'install python3'
        return
    fi
    build_configure tsan
    build_targets tsan $PROGRAMS spate-count spate-load spate-token-tool
    rm -rf "$races"
    mkdir -p "$races"
    pattern=$(printf '%s' "$TSAN_TESTS" | tr ' ' '|')
    TSAN_OPTIONS="log_path=$races/report exitcode=66" test_ctest_log build/tsan/ctest-local.log tsan \
        --test-dir build/tsan -R "^local/test_($pattern)\$"
    # A program may end by a signal, or unseen: what it wrote is what counts.
    test_run "no race, no use after free (reports are in $races)" test_tsan_silent "$races"
}

test_tsan_silent() {
    local reports

    reports=$(find "$1" -type f -exec grep -h '^SUMMARY' {} + | sort | uniq -c || true)
    [ -z "$reports" ] || printf '%s\n' "$reports" >&2
    [ -z "$reports" ]
}
