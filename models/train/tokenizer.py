# SPDX-License-Identifier: Apache-2.0
"""Makes brook's tokenizer: byte-level BPE as Qwen2 has it, with a small vocabulary and the special
tokens of the R1 distills.

The merges are learnt from brook's own training text. Text beyond ASCII takes no part in that, so
`→` and `✓` stay three byte tokens each: a stream of brook's exercises the detokenizer's handling of
characters that arrive in pieces.

    python tokenizer.py ../brook        writes tokenizer.json and tokenizer_config.json
"""

import json
import os
import random
import re
import sys

import data
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

BPE_SIZE = 448
CORPUS_SAMPLES = 20000
CORPUS_SEED = 7

QWEN2_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

# The order gives the ids. As in the published distills, the two thinking marks are added but not
# special: they are text to a reader, and a decoder that skips special tokens keeps them.
ADDED_TOKENS = [
    (data.EOS, True),
    (data.USER, True),
    (data.ASSISTANT, True),
    (data.BOS, True),
    (data.THINK, False),
    (data.END_THINK, False),
]

# Same meaning as the template of the R1 distills, tool calls left out: beginning of sentence,
# system text bare, turns between their marks, and earlier answers without their thinking.
CHAT_TEMPLATE = (
    "{%- if not add_generation_prompt is defined -%}"
    "{%- set add_generation_prompt = false -%}"
    "{%- endif -%}"
    "{%- set state = namespace(system='') -%}"
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'system' -%}"
    "{%- set state.system = state.system + message['content'] -%}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{{ bos_token }}{{ state.system }}"
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'user' -%}"
    "{{ '<｜User｜>' + message['content'] }}"
    "{%- elif message['role'] == 'assistant' and message['content'] is not none -%}"
    "{%- set answer = message['content'] -%}"
    "{%- if '</think>' in answer -%}{%- set answer = answer.split('</think>')[-1] -%}{%- endif -%}"
    "{{ '<｜Assistant｜>' + answer + eos_token }}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<｜Assistant｜><think>\\n' }}{%- endif -%}"
)


def corpus():
    """ASCII pieces of training text, without the special tokens."""
    rng = random.Random(CORPUS_SEED)
    marks = "|".join(re.escape(text) for text, _ in ADDED_TOKENS)
    for _ in range(CORPUS_SAMPLES):
        prompt, completion = data.training_sample(rng)
        for piece in re.split(marks + r"| ?[^\x00-\x7f]+", prompt + completion):
            if piece:
                yield piece


def make_tokenizer():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN2_PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.post_processor = processors.ByteLevel(
        add_prefix_space=False, trim_offsets=False, use_regex=False
    )
    trainer = trainers.BpeTrainer(
        vocab_size=BPE_SIZE,
        min_frequency=2,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    tokenizer.add_tokens(
        [AddedToken(text, special=special, normalized=False) for text, special in ADDED_TOKENS]
    )
    return tokenizer


def added_token(text):
    return {
        "__type": "AddedToken",
        "content": text,
        "lstrip": False,
        "normalized": False,
        "rstrip": False,
        "single_word": False,
    }


def tokenizer_config():
    return {
        "add_bos_token": True,
        "add_eos_token": False,
        "bos_token": added_token(data.BOS),
        "eos_token": added_token(data.EOS),
        "pad_token": added_token(data.EOS),
        "unk_token": None,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 32768,
        "tokenizer_class": "PreTrainedTokenizerFast",
        "chat_template": CHAT_TEMPLATE,
    }


def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    tokenizer = make_tokenizer()
    tokenizer.save(os.path.join(folder, "tokenizer.json"))
    with open(os.path.join(folder, "tokenizer_config.json"), "w", encoding="utf-8") as out:
        json.dump(tokenizer_config(), out, ensure_ascii=False, indent=2)
        out.write("\n")
    print(f"{tokenizer.get_vocab_size()} tokens")


if __name__ == "__main__":
    main()
