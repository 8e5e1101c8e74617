# SPDX-License-Identifier: Apache-2.0
"""usage: compare_golden.py COMMITTED FRESH: fails if golden logits differ by more than rounding."""
import pathlib
import sys

import numpy
from safetensors.numpy import load_file

NMSE_MAX = 1e-11


def main():
    committed, fresh = map(pathlib.Path, sys.argv[1:3])
    names = sorted(path.parent.name for path in committed.glob("*/golden.safetensors"))
    if not names:
        sys.exit(f"{committed} holds no golden files")
    for name in names:
        old = load_file(committed / name / "golden.safetensors")
        new = load_file(fresh / name / "golden.safetensors")
        for key in ("ids", "positions"):
            if not numpy.array_equal(old[key], new[key]):
                sys.exit(f"{name}: {key} differ")
        difference = (old["logits"].astype("f8") - new["logits"].astype("f8")) ** 2
        nmse = difference.sum() / (old["logits"].astype("f8") ** 2).sum()
        print(f"{name}: NMSE {nmse:.2e}")
        if not nmse <= NMSE_MAX:
            sys.exit(f"{name}: the logits differ by NMSE {nmse:.2e}, more than {NMSE_MAX}")


if __name__ == "__main__":
    main()
