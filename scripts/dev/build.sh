# SPDX-License-Identifier: Apache-2.0
# ./dev build: configure a preset once, then build it with all cores.
. scripts/dev/deps.sh

PROGRAMS='spate spate-agent spate-gateway spate-operator spate-ledger'

dev_build() {
    local preset=dev targets=$PROGRAMS

    while [ $# -gt 0 ]; do
        case $1 in
        --release) preset=release ;;
        --preset)
            preset=${2:-}
            shift
            ;;
        --all) targets=all ;;
        --target)
            targets=${2:-}
            shift
            ;;
        *) die "build: unknown option '$1'; ./dev help lists them" ;;
        esac
        shift
    done
    dev_deps build
    build_configure "$preset"
    build_targets "$preset" $targets
}

# build_configure PRESET [CMAKE_OPTION...]: ninja configures again by itself when a list changes, so
# this runs only for a new folder or for options.
build_configure() {
    local preset=$1

    shift
    if [ $# -eq 0 ] && [ -e "build/$preset/build.ninja" ]; then
        return
    fi
    say "build: configuring build/$preset"
    cmake --preset "$preset" "$@" >"build-$preset.log" 2>&1 || {
        cat "build-$preset.log" >&2
        rm -f "build-$preset.log"
        die "build: cmake failed; above is why"
    }
    mv "build-$preset.log" "build/$preset/configure.log"
}

# build_targets PRESET TARGET...
build_targets() {
    local preset=$1

    shift
    cmake --build "build/$preset" --parallel "$SPATE_JOBS" --target "$@" >&2
}
