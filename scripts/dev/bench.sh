# SPDX-License-Identifier: Apache-2.0
# ./dev bench [NAME...] [--json]: the bench programs of tests/bench, in the release build, through
# `spate bench`. Each prints the machine with what it measured; none of them fails by being slow.
. scripts/dev/build.sh

dev_bench() {
    dev_build --release >&2
    build_targets release benches
    build/release/bin/spate bench "$@"
}
