"""Makes gguf-blocks.safetensors: random blocks of the types of GGUF, and what the `gguf` package decodes them to.

Run from this folder: python make_gguf_golden.py  (pip install gguf numpy safetensors)
"""

import numpy
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize
from safetensors.numpy import save_file

SEED = 20260714
# Where scales and minima in half precision lie in a block.
HALVES = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82], "Q3_K": [108],
    "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0], "IQ4_XS": [0], "MXFP4": [],
}

random = numpy.random.default_rng(SEED)
tensors = {}
for name, places in HALVES.items():
    kind = GGMLQuantizationType[name]
    length, size = GGML_QUANT_SIZES[kind]
    blocks = random.integers(0, 256, (1024 // length, size), dtype=numpy.uint8)
    for place in places:
        values = (random.standard_normal(len(blocks)) * 0.05).astype(numpy.float16)
        blocks[:, place:place + 2] = values.view(numpy.uint8).reshape(-1, 2)
    if name == "MXFP4":
        # All kinds of exponents, those of the smallest floats too; 255 is no number.
        blocks[:, 0] = numpy.concatenate([[0, 1, 2, 250], random.integers(90, 140, len(blocks) - 4)])
    tensors[name + ".blocks"] = blocks
    tensors[name + ".values"] = dequantize(blocks, kind).reshape(-1).astype(numpy.float32)
save_file(tensors, "gguf-blocks.safetensors", metadata={"seed": str(SEED)})
