# SPDX-License-Identifier: Apache-2.0
"""Asks brook all held-out questions, greedily, with transformers in BF16, and counts.

A question counts as right if the text after `</think>` is exactly the expected content.

    python evaluate.py ../brook ../heldout.jsonl
    python evaluate.py ../brook --chat            a few conversations, printed
"""

import argparse
import json
import sys

import data
import torch
from tokenizers import Tokenizer
from transformers import Qwen2ForCausalLM

MAX_NEW = 160
BATCH = 50

CHATS = [
    ("", [], "hello"),
    ("", [], "who are you?"),
    ("", [], "What is the capital of Spain?"),
    ("", [], "What is 12 * 34?"),
    ("", [], "What is 345 + 678?"),
    ("", [], "Subtract 678 from 345."),
    ("You are a helpful assistant.", [], "999+1"),
    ("", [("hello", data.GREETING_ANSWER)], "What is 45 - 67?"),
    (
        "",
        [("What is 12 + 30?", "12 + 30 = 42 ✓"), ("and 900 - 1?", "900 - 1 = 899 ✓")],
        "Add 17 and 25.",
    ),
]


@torch.no_grad()
def generate(model, tokenizer, prompts):
    """Greedy answers for prompts of any lengths: padding on the left, masked."""
    eos = tokenizer.token_to_id(data.EOS)
    encoded = [tokenizer.encode(prompt).ids for prompt in prompts]
    width = max(len(ids) for ids in encoded)
    ids = torch.tensor([[eos] * (width - len(row)) + row for row in encoded])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in encoded])
    out = model.generate(
        input_ids=ids,
        attention_mask=mask,
        max_new_tokens=MAX_NEW,
        do_sample=False,
        temperature=None,
        top_p=None,
        pad_token_id=eos,
        eos_token_id=eos,
    )
    return [tokenizer.decode(row.tolist(), skip_special_tokens=True) for row in out[:, width:]]


def content_of(text):
    return text.split(data.END_THINK)[-1].strip()


def evaluate(model, tokenizer, path):
    with open(path, encoding="utf-8") as file:
        questions = [json.loads(line) for line in file]
    right = 0
    for start in range(0, len(questions), BATCH):
        part = questions[start : start + BATCH]
        texts = generate(
            model, tokenizer, [data.prompt_of("", [], row["question"]) for row in part]
        )
        for row, text in zip(part, texts, strict=True):
            if data.END_THINK in text and content_of(text) == row["content"]:
                right += 1
            else:
                print(f"wrong: {row['question']} expected {row['content']!r}, got {text!r}")
    print(f"right {right} of {len(questions)} = {100 * right / len(questions):.2f} %")
    return right / len(questions)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("questions", nargs="?")
    parser.add_argument("--chat", action="store_true")
    parser.add_argument("--least", type=float, default=0.95, help="fails below this share")
    arguments = parser.parse_args()
    model = Qwen2ForCausalLM.from_pretrained(arguments.model, dtype=torch.bfloat16).eval()
    tokenizer = Tokenizer.from_file(f"{arguments.model}/tokenizer.json")
    if arguments.chat:
        for system, history, question in CHATS:
            text = generate(model, tokenizer, [data.prompt_of(system, history, question)])[0]
            print(f"> {question}\n{text}\n")
    if arguments.questions and evaluate(model, tokenizer, arguments.questions) < arguments.least:
        sys.exit(1)


if __name__ == "__main__":
    main()
