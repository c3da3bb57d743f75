"""Writes tests/data/core/quantize_*.bin: what gguf-py makes of fixed inputs, for every weight format.

encode: 64 rows of 256 floats (normal values over 40 binary orders, zeros, constants, subnormals, the ends of the
range), then the encoded bytes. decode: random blocks whose half-precision scales include zero, subnormals and the
largest finite values, then the decoded floats.

    python tests/goldens/formats_quantize.py            # writes
    python tests/goldens/formats_quantize.py --check    # compares with what is checked in
File layout: encoded or block bytes, then little-endian float32; the test knows the counts.
Made with gguf 0.19.0, numpy 2.4.6, seed 20261.
"""
import pathlib
import sys

import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType as Q
from gguf.quants import dequantize, quantize

SEED, ROWS, COLUMNS = 20261, 64, 256
FOLDER = pathlib.Path(__file__).resolve().parents[1] / "data" / "core"


def inputs():
    rng = np.random.default_rng(SEED)
    x = rng.standard_normal((ROWS, COLUMNS)) * np.exp2(rng.integers(-20, 20, (ROWS, 1)))
    x[0] = 0.0
    x[1] = -0.0
    x[2] = 1.0
    x[3] = -2.5
    x[4] = np.arange(COLUMNS) - 128  # halves and ties
    x[5] = (np.arange(COLUMNS) % 32 - 16) / 2
    x[6] *= 1e-41  # float32 subnormals
    x[7] = 1e-7 * rng.standard_normal(COLUMNS)  # half-precision subnormal scales
    x[8] = 1e38 * rng.uniform(-1, 1, COLUMNS)  # scales that overflow binary16
    x[9] = 65504 * 127 * rng.uniform(-1, 1, COLUMNS)
    x[10, ::2] = x[10, 1::2]  # equal magnitudes: the first one counts
    x[10, 1::2] *= -1
    return x.astype(np.float32)


def blocks(kind, count, rng):
    _, size = GGML_QUANT_SIZES[kind]
    data = rng.integers(0, 256, (count, size), dtype=np.uint8)
    if kind in (Q.F32, Q.F16, Q.BF16):
        return data
    scales = {Q.Q8_0: [0], Q.Q4_0: [0], Q.Q5_0: [0], Q.Q4_1: [0, 2], Q.Q5_1: [0, 2], Q.Q4_K: [0, 2], Q.Q5_K: [0, 2], Q.Q6_K: [208]}
    special = np.array([0x0000, 0x8000, 0x0001, 0x83FF, 0x0400, 0x7BFF, 0xFBFF, 0x3C00], dtype=np.uint16)
    for at in scales[kind]:
        halves = rng.integers(0, 0x7C00, count, dtype=np.uint16) | (rng.integers(0, 2, count, dtype=np.uint16) << 15)
        halves[: special.size] = rng.permutation(special)
        data[:, at : at + 2] = halves.view(np.uint8).reshape(-1, 2)
    return data


def files():
    x = inputs()
    out = {"quantize_input.bin": x.tobytes()}
    for kind in (Q.F16, Q.BF16, Q.Q8_0, Q.Q4_0, Q.Q4_1, Q.Q5_0, Q.Q5_1):
        with np.errstate(all="ignore"):
            out[f"quantize_{kind.name.lower()}.bin"] = quantize(x, kind).tobytes()
    rng = np.random.default_rng(SEED + 1)
    for kind in (Q.F16, Q.BF16, Q.Q8_0, Q.Q4_0, Q.Q4_1, Q.Q5_0, Q.Q5_1, Q.Q4_K, Q.Q5_K, Q.Q6_K):
        count = 2048 // GGML_QUANT_SIZES[kind][0] if kind not in (Q.Q4_K, Q.Q5_K, Q.Q6_K) else 16
        data = blocks(kind, count, rng)
        with np.errstate(all="ignore"):
            out[f"decode_{kind.name.lower()}.bin"] = data.tobytes() + dequantize(data, kind).astype(np.float32).tobytes()
    return out


if __name__ == "__main__":
    wrong = 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, content in files().items():
        path = FOLDER / name
        if "--check" in sys.argv:
            same = path.exists() and path.read_bytes() == content
            wrong += not same
            print(f"{name}: {'same' if same else 'DIFFERS'}")
        else:
            path.write_bytes(content)
            print(f"{name}: {len(content)} bytes")
    sys.exit(1 if wrong else 0)
