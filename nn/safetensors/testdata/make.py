"""Writes reference.safetensors with the format's reference implementation.

Needs numpy, ml_dtypes and safetensors. The test rebuilds the same values.
"""
import pathlib

import ml_dtypes
import numpy as np
from safetensors.numpy import save_file

tensors = {
    "matrix": np.arange(-6, 6, dtype=np.float32).reshape(3, 4) / 8,
    "brain": np.array([1, -2.5, 3.0e38, np.inf, -0.0], dtype=ml_dtypes.bfloat16),
    "half": np.array([1, -2.5, 65504, 2.0**-24, 2.0**-14, -np.inf, -0.0], dtype=np.float16),
    "counts": np.array([[1, -2], [2**31 - 1, -(2**31)]], dtype=np.int32),
    "steps": np.array([2**62, -1], dtype=np.int64),
    "bytes": np.array([0, 127, 255], dtype=np.uint8),
    "scalar": np.array(2.5, dtype=np.float32),
    "empty": np.zeros((0, 7), dtype=np.float32),
}
save_file(
    tensors,
    pathlib.Path(__file__).with_name("reference.safetensors"),
    metadata={"format": "pt", "note": "Grüße <&>"},
)
