#!/bin/sh
# Builds the emulated libcuda.so.1 into folder $1.
set -e
here=$(dirname "$0")
out=$1
test -n "$out" || { echo "usage: build.sh FOLDER" >&2; exit 2; }
mkdir -p "$out"
# -march=native: it runs where it is built. Contraction would change the bits of what a kernel computes.
flags="-std=c++20 -O2 -ftree-vectorize -march=native -ffp-contract=off -fno-math-errno -fno-trapping-math
	-fno-strict-aliasing -fPIC -fvisibility=hidden -Wall"
objects=$(mktemp -d)
trap 'rm -rf "$objects"' EXIT
for f in "$here"/*.cpp; do
	echo "$f"
done | xargs -P 2 -I{} sh -c '"${CXX:-g++}" '"$(echo $flags)"' -c "$1" -o "$2/$(basename "$1" .cpp).o"' - {} "$objects"
"${CXX:-g++}" -shared -Wl,-Bsymbolic -Wl,-soname,libcuda.so.1 -Wl,--no-undefined -o "$out/libcuda.so.1" "$objects"/*.o
