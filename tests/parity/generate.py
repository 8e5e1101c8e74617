# SPDX-License-Identifier: Apache-2.0
"""Makes the tiny random models and their golden logits in tests/parity/data, against which the
engine is tested.

Each model is written as a Hugging Face folder; transformers then reads that folder back, so the
logits are those of the weights as they are stored, computed in float64. Everything is seeded:
running this twice gives the same files.

    python generate.py data
"""

import json
import os
import sys
from dataclasses import dataclass

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}
SHORT_POSITIONS = [0, 1, 2, 15, 16, 17, 31, 32, 63, 64, 65, 127, 128, 199]
LONG_POSITIONS = [0, 1, 15, 16, 17, 63, 64, 65, 511, 1024, 4095, 4096, 4097, 8191, 8999, 9000]
LLAMA3_SCALING = {
    "factor": 8.0,
    "high_freq_factor": 4.0,
    "low_freq_factor": 1.0,
    "original_max_position_embeddings": 8192,
    "rope_type": "llama3",
}


@dataclass
class Shape:
    """One tiny model: what it is made of and how it is written."""

    name: str
    family: str  # qwen2 or llama
    dtype: str
    spelling: str  # "published" (rope_theta, torch_dtype) or "v5" (rope_parameters, dtype)
    hidden: int
    heads: int
    kv_heads: int
    head: int
    ffn: int
    layers: int
    vocab: int
    tied: bool
    theta: float
    llama3: bool = False
    shards: int = 1
    long: bool = False


SHAPES = [
    Shape(
        "qwen2-bf16-long",
        "qwen2",
        "bfloat16",
        "published",
        96,
        6,
        2,
        16,
        160,
        3,
        256,
        False,
        1e6,
        long=True,
    ),
    Shape("qwen2-f16-tied", "qwen2", "float16", "v5", 72, 6, 1, 12, 100, 2, 250, True, 1e4),
    Shape("qwen2-f32", "qwen2", "float32", "v5", 48, 6, 2, 8, 96, 2, 128, False, 1e4),
    Shape(
        "llama-f32-llama3-long",
        "llama",
        "float32",
        "published",
        72,
        6,
        1,
        16,
        128,
        2,
        192,
        False,
        5e5,
        llama3=True,
        shards=3,
        long=True,
    ),
    Shape(
        "llama-bf16-llama3-tied",
        "llama",
        "bfloat16",
        "v5",
        96,
        6,
        2,
        16,
        160,
        2,
        256,
        True,
        5e5,
        llama3=True,
    ),
    Shape("llama-f16", "llama", "float16", "published", 64, 4, 4, 16, 144, 2, 160, False, 1e4),
]


def config_of(shape):
    """config.json in one of the two spellings that are in use."""
    config = {
        "architectures": ["Qwen2ForCausalLM" if shape.family == "qwen2" else "LlamaForCausalLM"],
        "attention_dropout": 0.0,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "hidden_act": "silu",
        "hidden_size": shape.hidden,
        "initializer_range": 0.02,
        "intermediate_size": shape.ffn,
        "max_position_embeddings": 16384,
        "model_type": shape.family,
        "num_attention_heads": shape.heads,
        "num_hidden_layers": shape.layers,
        "num_key_value_heads": shape.kv_heads,
        "rms_norm_eps": 1e-6 if shape.family == "qwen2" else 1e-5,
        "tie_word_embeddings": shape.tied,
        "use_cache": True,
        "vocab_size": shape.vocab,
    }
    if shape.family == "llama":
        config |= {"attention_bias": False, "mlp_bias": False, "pretraining_tp": 1}
    else:
        config |= {
            "use_sliding_window": False,
            "sliding_window": 4096,
            "max_window_layers": shape.layers,
        }
    if shape.head * shape.heads != shape.hidden:
        config["head_dim"] = shape.head
    scaling = LLAMA3_SCALING if shape.llama3 else None
    if shape.spelling == "published":
        config |= {"rope_theta": shape.theta, "torch_dtype": shape.dtype}
        if shape.family == "llama":
            config["rope_scaling"] = scaling
    else:
        config |= {
            "rope_parameters": {"rope_theta": shape.theta, **(scaling or {"rope_type": "default"})}
        }
        config |= {"dtype": shape.dtype}
    return config


def random_weight(name, like, generator):
    """Scaled so that attention is not flat, biases matter and no norm weight is one."""
    noise = torch.randn(like.shape, generator=generator)
    if name.endswith("bias"):
        return 0.5 * noise
    if "norm" in name:
        return 1.0 + 0.3 * noise
    if "embed_tokens" in name:
        return noise
    gain = 1.5 if "q_proj" in name or "k_proj" in name else 1.0
    return gain * noise / like.shape[-1] ** 0.5


def write_json(path, value):
    with open(path, "w", encoding="utf-8") as out:
        json.dump(value, out, indent=2)
        out.write("\n")


def write_weights(folder, weights, shards):
    """One file, or several and their index."""
    if shards == 1:
        save_file(weights, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
        return
    names, placed = list(weights), {}
    for shard in range(shards):
        file = f"model-{shard + 1:05d}-of-{shards:05d}.safetensors"
        part = {name: weights[name] for name in names[shard::shards]}
        save_file(part, os.path.join(folder, file), metadata={"format": "pt"})
        placed |= {name: file for name in part}
    total = sum(tensor.nbytes for tensor in weights.values())
    write_json(
        os.path.join(folder, "model.safetensors.index.json"),
        {
            "metadata": {"total_size": total},
            "weight_map": dict(sorted(placed.items())),
        },
    )


def write_model(shape, folder, generator):
    os.makedirs(folder, exist_ok=True)
    write_json(os.path.join(folder, "config.json"), config_of(shape))
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))
    weights = {
        name: random_weight(name, tensor, generator).to(DTYPES[shape.dtype])
        for name, tensor in model.state_dict().items()
        if not (shape.tied and name == "lm_head.weight")
    }
    write_weights(folder, weights, shape.shards)


@torch.no_grad()
def write_golden(shape, folder, generator):
    positions = LONG_POSITIONS if shape.long else SHORT_POSITIONS
    ids = torch.randint(0, shape.vocab, (positions[-1] + 1,), generator=generator)
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float64, attn_implementation="sdpa"
    ).eval()
    logits = model(
        input_ids=ids[None], logits_to_keep=torch.tensor(positions), use_cache=False
    ).logits[0]
    assert logits.dtype == torch.float64 and logits.shape == (len(positions), shape.vocab)
    save_file(
        {
            "ids": ids.to(torch.int32),
            "positions": torch.tensor(positions, dtype=torch.int32),
            "logits": logits.to(torch.float32).contiguous(),
        },
        os.path.join(folder, "golden.safetensors"),
    )
    print(
        f"{shape.name}: {len(ids)} ids, logits of {len(positions)} positions, "
        f"spread {logits.std():.2f}"
    )


def main():
    torch.set_num_threads(2)
    for number, shape in enumerate(SHAPES):
        folder = os.path.join(sys.argv[1], shape.name)
        generator = torch.Generator().manual_seed(1000 + number)
        write_model(shape, folder, generator)
        write_golden(shape, folder, generator)


if __name__ == "__main__":
    main()
