# SPDX-License-Identifier: Apache-2.0
# ./dev bench [NAME...] [--json]: the bench programs of tests/bench, in the release build, through
# `spate bench`. Each prints the machine with what it measured; none of them fails by being slow.
# ./dev bench peers [--json]: the engine beside llama.cpp, which is compiled once for this machine.
# ./dev bench cluster [PART...] [--json]: on real Kubernetes clusters that it makes, as root; never
# part of plain ./dev bench.
. scripts/dev/build.sh
. scripts/dev/cache.sh
. scripts/dev/deps.sh

dev_bench() {
    if [ "${1:-}" = peers ]; then
        shift
        bench_peers "$@"
        return
    fi
    if [ "${1:-}" = cluster ]; then
        shift
        bench_cluster "$@"
        return
    fi
    dev_build --release >&2
    build_targets release benches
    build/release/bin/spate bench "$@"
}

bench_peers() {
    local model=$SPATE_CACHE/models/smollm2-135m-instruct-q4_1.gguf

    dev_build --release >&2
    build_targets release bench_engine_math >&2
    cache_venv tests/bench/peers/requirements.txt
    [ -f "$model" ] || build/release/bin/spate model pull smollm2 >&2
    "$CACHE_VENV/bin/python" tests/bench/peers/beside_llama_cpp.py \
        --engine build/release/bin/bench_engine_math --model "$model" "$@"
}

bench_cluster() {
    dev_build --release >&2
    build_targets release all >&2 # also the tools that stand in for people
    dev_deps cluster >&2
    SPATE_BIN=$SPATE_ROOT/build/release/bin exec python3 tests/bench/cluster/bench_cluster.py "$@"
}
