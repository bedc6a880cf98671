"""Makes reference.safetensors, a small file that the `safetensors` package writes.

Run from this folder: python make_formats_golden.py  (pip install safetensors numpy)
"""

import numpy
from safetensors.numpy import save_file

save_file(
    {
        "matrix": numpy.arange(6, dtype=numpy.float32).reshape(2, 3),
        "half": numpy.array([0.5, -2], dtype=numpy.float16),
        "long": numpy.array([[2**40]], dtype=numpy.int64),
        "flags": numpy.array([True, False, True]),
    },
    "reference.safetensors",
    metadata={"made": "elsewhere"},
)
