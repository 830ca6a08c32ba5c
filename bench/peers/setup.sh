#!/bin/sh
# Makes the virtual environment of the peers in the folder VENV.
#
#     setup.sh VENV          needs a C compiler and binutils where PyTorch's wheel is a CUDA build
set -eu

here=$(dirname "$0")
python3 -m venv "$1"
"$1/bin/pip" install --quiet --no-deps -r "$here/requirements.txt"
# A CPU build loads as it is.
"$1/bin/python" -c 'import torch' 2>/dev/null || "$here/cuda_stubs.sh" "$1"
