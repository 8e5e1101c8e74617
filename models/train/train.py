# SPDX-License-Identifier: Apache-2.0
"""Trains brook on the CPU and writes it as an ordinary Hugging Face folder, with weights in BF16.

Several samples share a row; a block-diagonal mask keeps them apart. The loss is on the completions
only. Every few hundred steps held-out questions are scored, teacher-forced (all tokens of the
completion right = greedy decoding would be right), and the model is saved.

    python train.py ../brook                  some 30 minutes on two cores
    python train.py /tmp/short --steps 50     a short run, to see that it works
"""

import argparse
import json
import math
import os
import random
import time

import data
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from transformers import Qwen2Config, Qwen2ForCausalLM

VOCAB_ROWS = 512  # more rows than the tokenizer has ids, as published models have
CONTEXT = 32768
ROPE_THETA = 10000.0
ROW_TOKENS = 320
ROWS = 16
IGNORED = -100

PUBLISHED_CONFIG = {
    "architectures": ["Qwen2ForCausalLM"],
    "attention_dropout": 0.0,
    "hidden_act": "silu",
    "hidden_size": 128,
    "initializer_range": 0.02,
    "intermediate_size": 448,
    "max_position_embeddings": CONTEXT,
    "model_type": "qwen2",
    "num_attention_heads": 4,
    "num_hidden_layers": 5,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-6,
    "rope_theta": ROPE_THETA,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "use_cache": True,
    "use_sliding_window": False,
    "vocab_size": VOCAB_ROWS,
}


def make_model(bos, eos):
    c = PUBLISHED_CONFIG
    names = (
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "max_position_embeddings",
        "rms_norm_eps",
        "tie_word_embeddings",
        "vocab_size",
        "initializer_range",
    )
    config = Qwen2Config(
        **{name: c[name] for name in names},
        rope_parameters={"rope_type": "default", "rope_theta": ROPE_THETA},
        bos_token_id=bos,
        eos_token_id=eos,
        use_cache=False,
    )
    return Qwen2ForCausalLM(config)


def rows(tokenizer, rng):
    """Endless rows of (ids, targets, sample number of each position).

    Padding has sample number 0 and no target.
    """
    ids, targets, owner, count = [], [], [], 0
    while True:
        prompt, completion = data.training_sample(rng)
        asked, said = tokenizer.encode(prompt).ids, tokenizer.encode(completion).ids
        sample = asked + said
        if len(sample) > ROW_TOKENS:
            continue
        if len(ids) + len(sample) > ROW_TOKENS:
            gap = ROW_TOKENS - len(ids)
            yield ids + [0] * gap, targets + [IGNORED] * gap, owner + [0] * gap
            ids, targets, owner, count = [], [], [], 0
        count += 1
        ids += sample
        # The target of a position is the token after it; the last prompt token predicts the first
        # of the completion.
        targets += [IGNORED] * (len(asked) - 1) + said + [IGNORED]
        owner += [count] * len(sample)


def batch(source):
    taken = [next(source) for _ in range(ROWS)]
    ids, targets, owner = (torch.tensor(column) for column in zip(*taken, strict=True))
    same = owner[:, :, None] == owner[:, None, :]
    causal = torch.ones(ROW_TOKENS, ROW_TOKENS, dtype=torch.bool).tril()
    return ids, targets, (same & causal)[:, None]


def learning_rate(step, steps, peak):
    warm = 100
    if step < warm:
        return peak * (step + 1) / warm
    return peak * (
        0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
    )


def make_optimizer(model):
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.98), fused=True)


@torch.no_grad()
def heldout_score(model, tokenizer, count):
    """Share of held-out questions whose whole completion greedy decoding would reproduce."""
    rng, right = random.Random(4242), 0
    for _ in range(count):
        operator, a, b = data.draw_pair(rng, want_heldout=True)
        prompt = data.prompt_of("", [], data.phrase(rng, operator, a, b))
        said = data.completion(data.scratchpad(operator, a, b), data.content(operator, a, b))
        asked, said = tokenizer.encode(prompt).ids, tokenizer.encode(said).ids
        logits = model(input_ids=torch.tensor([asked + said])).logits[0, len(asked) - 1 : -1]
        right += bool((logits.argmax(-1) == torch.tensor(said)).all())
    return right / count


def write_json(path, value):
    with open(path, "w", encoding="utf-8") as out:
        json.dump(value, out, ensure_ascii=False, indent=2)
        out.write("\n")


def save(model, folder, bos, eos):
    """A folder as published models have it: older spelling of config.json, tied head not stored."""
    from safetensors.torch import save_file

    weights = {
        name: tensor.detach().to(torch.bfloat16).contiguous()
        for name, tensor in model.state_dict().items()
        if name != "lm_head.weight"
    }
    temporary = os.path.join(folder, "model.safetensors.new")
    save_file(weights, temporary, metadata={"format": "pt"})
    os.replace(temporary, os.path.join(folder, "model.safetensors"))
    write_json(
        os.path.join(folder, "config.json"),
        {**PUBLISHED_CONFIG, "bos_token_id": bos, "eos_token_id": eos},
    )
    write_json(
        os.path.join(folder, "generation_config.json"),
        {
            "bos_token_id": bos,
            "eos_token_id": eos,
            "do_sample": True,
            "temperature": 0.6,
            "top_p": 0.95,
        },
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "folder", help="has the tokenizer (tokenizer.py makes it); the model is written here"
    )
    parser.add_argument(
        "--tokenizer",
        default=os.path.join(os.path.dirname(__file__), "..", "brook", "tokenizer.json"),
    )
    parser.add_argument("--steps", type=int, default=4500)
    parser.add_argument("--peak", type=float, default=1.5e-3, help="highest learning rate")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()

    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)
    tokenizer = Tokenizer.from_file(arguments.tokenizer)
    bos, eos = tokenizer.token_to_id(data.BOS), tokenizer.token_to_id(data.EOS)
    os.makedirs(arguments.folder, exist_ok=True)

    model = make_model(bos, eos)
    print(f"{sum(p.numel() for p in model.parameters())} parameters", flush=True)
    compiled = torch.compile(model)
    optimizer = make_optimizer(model)
    source = rows(tokenizer, random.Random(arguments.seed))
    start, total = time.time(), 0.0
    for step in range(arguments.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, arguments.steps, arguments.peak)
        ids, targets, mask = batch(source)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = compiled(input_ids=ids, attention_mask=mask).logits
        loss = F.cross_entropy(
            logits.float().flatten(0, 1), targets.flatten(), ignore_index=IGNORED
        )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        total += loss.item()
        if (step + 1) % 50 == 0:
            print(
                f"step {step + 1} loss {total / 50:.5f} seconds {time.time() - start:.0f}",
                flush=True,
            )
            total = 0.0
        if (step + 1) % 300 == 0 or step + 1 == arguments.steps:
            save(model, arguments.folder, bos, eos)
            print(
                f"step {step + 1} held-out {heldout_score(model, tokenizer, 200):.4f}", flush=True
            )


if __name__ == "__main__":
    main()
