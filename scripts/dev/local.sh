# SPDX-License-Identifier: Apache-2.0
# Whole programs on this machine: the Python tests of tests/local, the tutorial's commands, the
# reference pages, and the demo itself.
. scripts/dev/docs.sh

test_local_all() {
    if command -v python3 >/dev/null; then
        test_ctest dev local 3
    else
        test_missing 'local tests' 'install python3'
    fi
    test_run 'reference pages are what the code says' docs_check
    test_run 'the commands of the tutorial' scripts/dev/check_docs.sh docs/tutorial.md
    test_run 'the demo' ./dev demo
}
