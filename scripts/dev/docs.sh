# SPDX-License-Identifier: Apache-2.0
# ./dev docs: makes docs/reference/ anew from the tables in code. With --check it only says whether
# that would change anything, for CI.
. scripts/dev/build.sh

dev_docs() {
    dev_deps build
    build_configure dev
    case ${1:-} in
    '') docs_make docs/reference ;;
    --check) docs_check ;;
    *) die "docs: unknown option '$1'; there is --check" ;;
    esac
}

# docs_make FOLDER
docs_make() {
    local bin=build/dev/bin

    build_targets dev spate spate-crd-doc spate-docs
    "$bin/spate" help --reference cli >"$1/cli.md"
    printf '\n' >>"$1/cli.md"
    "$bin/spate-docs" programs >>"$1/cli.md"
    "$bin/spate" help --reference errors >"$1/errors.md"
    "$bin/spate-crd-doc" >"$1/objects.md"
    "$bin/spate-docs" metrics >"$1/metrics.md"
}

docs_check() {
    local fresh

    fresh=$(mktemp -d)
    docs_make "$fresh"
    diff -ru docs/reference "$fresh" >&2 || {
        rm -rf "$fresh"
        say "docs: docs/reference is not what the code says; run ./dev docs and commit"
        return 1
    }
    rm -rf "$fresh"
}
