# SPDX-License-Identifier: Apache-2.0
# ./dev bench [NAME...]: the bench programs of tests/bench, in the release build. Each prints what
# it measured and the machine's read bandwidth beside it; none of them can fail by being slow.
. scripts/dev/build.sh

dev_bench() {
    local names=("$@") list name

    if [ ${#names[@]} -eq 0 ]; then
        for list in tests/bench/*/CMakeLists.txt; do
            names+=("$(basename "$(dirname "$list")")")
        done
    fi
    dev_build --release
    for name in "${names[@]}"; do
        [ -d "tests/bench/$name" ] || die "bench: no bench '$name'; there are $(ls -d tests/bench/*/ | xargs -n 1 basename | tr '\n' ' ')"
        build_targets release "bench_$name"
        printf '== %s\n' "$name"
        "build/release/bin/bench_$name" "$SPATE_ROOT/models/brook"
    done
}
