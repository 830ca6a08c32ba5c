#!/bin/bash
# Compiles the kernels to PTX, which is part of the repository:
#
#   gpu/kernels/build.sh [FOLDER]
#
# into FOLDER, or else beside their sources. Needs clang-19 (CLANG names another
# one); the same version writes the same bytes, from any folder. No CUDA toolkit is
# needed. Fails if a kernel has local memory, which is slow.
set -euo pipefail
out=$(realpath "${1:-$(dirname "$(realpath "$0")")}")
cd "$(dirname "$(realpath "$0")")"
for source in *.cu; do
  "${CLANG:-clang-19}" -x cuda --cuda-device-only -nocudainc -nocudalib --cuda-gpu-arch=sm_80 \
    --cuda-feature=+ptx70 -O3 -std=c++17 -ffp-contract=off -Wall -Wextra -Werror -Wno-unknown-cuda-version \
    -S -o "$out/${source%.cu}.ptx" "$source"
  if grep -n '\.local' "$out/${source%.cu}.ptx"; then
    echo "$source: local memory" >&2
    exit 1
  fi
done
