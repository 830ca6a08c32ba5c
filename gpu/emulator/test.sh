#!/bin/sh
# Builds the emulator, into folder $1 if it is given, and tests it, in both orders of blocks and warps; and loads all
# kernels of package gpu.
set -e
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
library=$(realpath -m "${1:-$out}")
cd "$(dirname "$0")"
./build.sh "$library"
for t in arithmetic memory control faults api; do
	"${CXX:-g++}" -std=c++20 -O1 -ffp-contract=off -Wall -o "$out/$t" test/$t.cpp "$library/libcuda.so.1" -Wl,-rpath,"$library"
	for order in forward backward; do
		EMU_ORDER=$order "$out/$t" || { echo "FAILED: $t, EMU_ORDER=$order"; exit 1; }
	done
done
# What clang makes of ordinary code, without and with optimisation, gives the same.
for level in 0 3; do
	"${CLANG:-clang-19}" -x cuda --cuda-device-only -nocudainc -nocudalib --cuda-gpu-arch=sm_80 --cuda-feature=+ptx70 \
		-O$level -std=c++17 -ffp-contract=off -S test/features.cu -o "$out/features$level.ptx"
done
"${CXX:-g++}" -std=c++20 -Wall -o "$out/features" test/features.cpp "$library/libcuda.so.1" -Wl,-rpath,"$library"
"$out/features" "$out/features0.ptx" "$out/features3.ptx"
"${CXX:-g++}" -std=c++20 -o "$out/load" test/load.cpp "$library/libcuda.so.1" -Wl,-rpath,"$library"
find .. -name '*.ptx' | xargs "$out/load"
echo "emulator: all tests passed"
