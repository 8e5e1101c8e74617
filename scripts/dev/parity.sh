# SPDX-License-Identifier: Apache-2.0
# Against other people's programs: the engine's logits, token ids, templates and greedy runs beside
# those of PyTorch, transformers, tokenizers and jinja2. The oracles are fetched and made once and
# kept in the cache; the C tests that read them are part of the unit suite, so this part comes first.
. scripts/dev/cache.sh

PARITY_FOLDER=tests/parity

test_parity_all() {
    if ! command -v python3 >/dev/null; then
        test_missing parity 'install python3 and python3-venv'
        return
    fi
    cache_venv $PARITY_FOLDER/requirements.txt models/train/requirements.txt
    PYTHON=$CACHE_VENV/bin/python
    test_run 'fetch oracles' env PYTHON="$PYTHON" $PARITY_FOLDER/fetch_oracles.sh
    test_run 'make expected tokens' parity_expected tokenizer_oracle.py cache tokens
    test_run 'make expected templates' parity_expected template_oracle.py cache templates
    test_run 'make expected greedy runs' parity_expected greedy_oracle.py smollm2 greedy
    test_run 'golden logits come out of their generator' parity_golden
}

# parity_expected SCRIPT WORD NAME: runs an oracle, unless this very script has run already.
parity_expected() {
    local mark=$SPATE_CACHE/oracles/expected/.$3-$(cache_key "$PARITY_FOLDER/$1")

    [ ! -e "$mark" ] || return 0
    say "parity: $1 $2"
    (cd $PARITY_FOLDER && "$PYTHON" "$1" "$2" >&2) && touch "$mark"
}

# The committed golden files are what the committed generator makes. Another processor may round
# its last bits otherwise, so that numbers are compared, not bytes.
parity_golden() {
    local fresh

    fresh=$(mktemp -d)
    (cd $PARITY_FOLDER && "$PYTHON" generate.py "$fresh" >&2) &&
        "$PYTHON" scripts/dev/compare_golden.py $PARITY_FOLDER/data "$fresh" >&2 || {
        rm -rf "$fresh"
        return 1
    }
    rm -rf "$fresh"
}
