# SPDX-License-Identifier: Apache-2.0
# Python environments and Node folders outside the tree, kept under $SPATE_CACHE and keyed by a hash
# of what they hold, so that they are made once and a change makes a new one.

# cache_key FILE...
cache_key() {
    cat "$@" | sha256sum | cut -c 1-16
}

# cache_venv REQUIREMENTS [MORE...]: sets CACHE_VENV. MORE are files that REQUIREMENTS includes.
cache_venv() {
    CACHE_VENV=$SPATE_CACHE/venv/$(cache_key "$@")
    if [ ! -e "$CACHE_VENV/complete" ]; then
        say "cache: making a Python environment for $1"
        rm -rf "$CACHE_VENV"
        python3 -m venv "$CACHE_VENV"
        "$CACHE_VENV/bin/pip" install --quiet --disable-pip-version-check -r "$1" >&2 ||
            die "cache: pip could not install $1"
        touch "$CACHE_VENV/complete"
    fi
}

# cache_node PACKAGE_JSON: sets CACHE_NODE, a folder with node_modules.
cache_node() {
    CACHE_NODE=$SPATE_CACHE/node/$(cache_key "$1")
    if [ ! -e "$CACHE_NODE/complete" ]; then
        say "cache: making a Node folder for $1"
        rm -rf "$CACHE_NODE"
        mkdir -p "$CACHE_NODE"
        cp "$1" "$CACHE_NODE/package.json"
        (cd "$CACHE_NODE" && npm install --silent --no-audit --no-fund --ignore-scripts >&2) ||
            die "cache: npm could not install $1"
        touch "$CACHE_NODE/complete"
    fi
}
