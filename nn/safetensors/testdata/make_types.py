"""Writes types.safetensors: values of types that are converted, and in float32 what PyTorch makes of them.

Needs torch and safetensors.
"""

import pathlib

import torch
from safetensors.torch import save_file

every = torch.arange(256, dtype=torch.uint8)
tensors = {
    "F8_E4M3": every.view(torch.float8_e4m3fn),
    "F8_E5M2": every.clone().view(torch.float8_e5m2),
    "BOOL": torch.tensor([True, False, True]),
    "F64": torch.tensor([0.1, -1e300, 1e-300, 2.0**60 + 1, float("inf"), -0.0], dtype=torch.float64),
}
tensors |= {name + ".float32": tensor.float() for name, tensor in tensors.items()}
save_file(tensors, pathlib.Path(__file__).with_name("types.safetensors"))
