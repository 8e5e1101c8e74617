#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The unmodified official OpenAI clients (Python newest and 1.x, Node) against a real gateway with real
# agents. Installs the pinned clients once, by the machine's own pip and npm settings, under
# ${SPATE_CACHE:-$HOME/.cache/spate}/clients/<hash of the pins>/. Needs python3 (with venv), npm, and the
# programs in ${SPATE_BIN:-build/dev/bin}. What is missing is said; with CI=true it is a failure.
#
# run.sh --python: only installs the newest Python client, and prints the interpreter that has it, for other tests.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
pins=$(cat "$here"/python/requirements-*.txt "$here/node/package.json" | sha256sum | cut -c1-16)
cache=${SPATE_CACHE:-$HOME/.cache/spate}/clients/$pins

missing() {
    echo "clients: not run: $1" >&2
    echo "0 passed, 0 failed"
    if [ "${CI:-}" = true ]; then
        exit 1
    fi
    exit 0
}

# A folder is complete once its mark is there: an install that was cut off is done again.
install_python() {
    [ -e "$cache/python-$1/.complete" ] && return 0
    rm -rf "$cache/python-$1"
    python3 -m venv "$cache/python-$1" &&
        "$cache/python-$1/bin/pip" install --quiet -r "$here/python/requirements-$1.txt" &&
        touch "$cache/python-$1/.complete"
}

install_node() {
    [ -e "$cache/node/.complete" ] && return 0
    rm -rf "$cache/node"
    mkdir -p "$cache/node"
    cp "$here/node/package.json" "$cache/node/"
    (cd "$cache/node" && npm install --silent --no-audit --no-fund --no-package-lock) &&
        touch "$cache/node/.complete"
}

if [ "${1:-}" = --python ]; then
    mkdir -p "$cache"
    install_python 3 >&2 || exit 1
    echo "$cache/python-3/bin/python"
    exit 0
fi
command -v python3 >/dev/null || missing "python3 is not installed"
command -v npm >/dev/null || missing "npm is not installed"
mkdir -p "$cache"
for version in 1 3; do
    install_python $version || missing "the Python client $version.x could not be installed into $cache"
done
install_node || missing "the Node client could not be installed into $cache"
exec python3 "$here/run.py" "$cache"
