# SPDX-License-Identifier: Apache-2.0
"""Spate's engine beside llama.cpp on the same GGUF file, in turns: tokens/s of decode with 1, 4 and 16 sequences and of a
prefill of 512 tokens. llama.cpp runs twice: the file as it is (Q4_1), and expanded to F32, which is what Spate's engine
does with it while loading. The best of a few rounds counts, as in bench_engine_math.

    beside_llama_cpp.py --engine build/release/bin/bench_engine_math --model FILE.gguf [--threads N] [--turns N] [--json]
"""
import argparse
import ctypes
import json
import os
import subprocess
import sys
import tempfile
import time

import llama_cpp as llama

PREFILL_TOKENS = 512
SEQUENCES = (1, 4, 16)
ROUNDS = 3
ROUND_S = 0.4
TOKEN = 1
FTYPE_ALL_F32 = 0
WORKLOADS = [f"decode {n}" for n in SEQUENCES] + [f"prefill {PREFILL_TOKENS}"]


class Peer:
    """A model that llama.cpp has opened, with room for SEQUENCES[-1] sequences."""

    def __init__(self, path, threads):
        self.model = llama.llama_model_load_from_file(path.encode(), llama.llama_model_default_params())
        if not self.model:
            sys.exit(f"llama_cpp: llama.cpp can't open {path}")
        params = llama.llama_context_default_params()
        params.n_ctx = 4096
        params.n_batch = params.n_ubatch = PREFILL_TOKENS
        params.n_seq_max = SEQUENCES[-1]
        params.kv_unified = True  # so that one sequence may fill it
        params.n_threads = params.n_threads_batch = threads
        self.context = llama.llama_init_from_model(self.model, params)
        self.batch = llama.llama_batch_init(PREFILL_TOKENS, 0, 1)

    def close(self):
        llama.llama_batch_free(self.batch)
        llama.llama_free(self.context)
        llama.llama_model_free(self.model)

    def forget(self):
        llama.llama_memory_clear(llama.llama_get_memory(self.context), True)

    def put(self, entries):
        """entries: (sequence, position, wants logits)."""
        self.batch.n_tokens = len(entries)
        for i, (sequence, position, logits) in enumerate(entries):
            self.batch.token[i] = TOKEN
            self.batch.pos[i] = position
            self.batch.n_seq_id[i] = 1
            self.batch.seq_id[i][0] = sequence
            self.batch.logits[i] = logits
        if llama.llama_decode(self.context, self.batch) != 0:
            sys.exit("llama_cpp: llama_decode failed")

    def decode(self, sequences):
        best = 0
        for _ in range(ROUNDS):
            self.forget()
            step, start = 0, time.monotonic()
            while (took := time.monotonic() - start) < ROUND_S:
                self.put([(sequence, step, True) for sequence in range(sequences)])
                step += 1
            best = max(best, step * sequences / took)
        return best

    def prefill(self):
        best = 0
        for _ in range(ROUNDS):
            tokens, start = 0, time.monotonic()
            while (took := time.monotonic() - start) < ROUND_S:
                self.forget()
                self.put([(0, i, i == PREFILL_TOKENS - 1) for i in range(PREFILL_TOKENS)])
                tokens += PREFILL_TOKENS
            best = max(best, tokens / took)
        return best

    def measure(self):
        return [self.decode(n) for n in SEQUENCES] + [self.prefill()]


def measure_peer(path, threads):
    peer = Peer(path, threads)
    try:
        return peer.measure()
    finally:
        peer.close()


def measure_engine(program, path, threads):
    """The figures of bench_engine_math in the order of WORKLOADS, and the kernels that it chose."""
    out = subprocess.run([program, "--json", "--model", path, "--threads", str(threads)], check=True,
                         capture_output=True, text=True).stdout
    figures = [json.loads(line) for line in out.splitlines()]
    found = {figure["what"].split(",")[0]: figure for figure in figures if figure.get("unit") == "tokens/s"}
    return [found[name]["value"] for name in WORKLOADS], found["decode 1"]


def expand(path, folder):
    """The same weights as F32."""
    out = os.path.join(folder, "f32.gguf")
    params = llama.llama_model_quantize_default_params()
    params.ftype = FTYPE_ALL_F32
    params.allow_requantize = True
    if llama.llama_model_quantize(path.encode(), out.encode(), ctypes.byref(params)) != 0:
        sys.exit(f"llama_cpp: {path} can't be expanded to F32")
    return out


def report(args, best, described):
    if not args.json:
        machine = described["machine"]
        print(f"peers: {machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}, load average "
              f"{os.getloadavg()[0]:.2f}; {described['workload']}; llama.cpp of llama-cpp-python {llama.__version__}, "
              f"{args.threads} threads; best of {args.turns} turns side by side")
    for i, workload in enumerate(WORKLOADS):
        ours, as_it_is, f32 = (best[name][i] for name in ("spate", "as it is", "f32"))
        if args.json:
            print(json.dumps({"bench": "peers", "what": workload, "unit": "tokens/s", "value": ours,
                              "llama_cpp_f32": f32, "llama_cpp": as_it_is, "machine": described["machine"]}))
        else:
            print(f"  {workload:12} spate {ours:8.1f} tokens/s   llama.cpp F32 {f32:8.1f}, ratio {ours / f32:.2f}   "
                  f"llama.cpp as it is {as_it_is:8.1f}, ratio {ours / as_it_is:.2f}")


def main():
    parser = argparse.ArgumentParser(description="Spate's engine beside llama.cpp.")
    parser.add_argument("--engine", required=True, help="the program bench_engine_math")
    parser.add_argument("--model", required=True, help="a GGUF file")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    args = parser.parse_args()
    llama.llama_backend_init()
    best = {name: [0.0] * len(WORKLOADS) for name in ("spate", "as it is", "f32")}
    with tempfile.TemporaryDirectory(prefix="spate-bench-") as folder:
        f32 = expand(args.model, folder)
        for _ in range(args.turns):
            ours, described = measure_engine(args.engine, args.model, args.threads)
            for name, rates in (("spate", ours), ("as it is", measure_peer(args.model, args.threads)),
                                ("f32", measure_peer(f32, args.threads))):
                best[name] = [max(pair) for pair in zip(best[name], rates)]
    report(args, best, described)


if __name__ == "__main__":
    main()
