#!/bin/sh
# Makes a CUDA build of PyTorch importable on a machine without CUDA, for use on the CPU.
#
# The wheel of the Python package index links libraries of CUDA (about 3 GB more) that the CPU path never calls, but
# refuses to load without them. This builds empty libraries of their names next to it, whose functions abort when
# called. The two small ones that run at load time (cudart, cupti) are the real ones, see requirements.txt.
#
#     cuda_stubs.sh VENV          needs a C compiler and binutils
set -eu

lib=$(echo "$1"/lib/python3*/site-packages/torch/lib)
[ -f "$lib/libtorch_cuda.so" ] || { echo "$0: no CUDA build of PyTorch in $lib" >&2; exit 1; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

sonames=$(for f in "$lib"/*.so; do readelf -d "$f"; done | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' | sort -u |
	grep -E '^lib(cublas|cublasLt|cudnn|cufft|cufile|cusolver|cusparse|cusparseLt|nccl|nvrtc|nvshmem_host)\.so')
for f in "$lib"/*.so; do nm -D --undefined-only "$f"; done | awk '{print $NF}' | sort -u >"$tmp/undefined"

for soname in $sonames; do
	# A versioned symbol names its library (NVSHMEM for one of them); the others are told apart by prefix.
	prefix=$(echo "$soname" | sed -E 's/^lib([a-zA-Z]+).*/\1/; s/^cufile/cuFile/')
	case $soname in
	libnvshmem*) version=NVSHMEM ;;
	*) version=$soname ;;
	esac
	{
		echo '#include <stdlib.h>'
		grep -E "@$version\$|^$prefix[^@]*\$" "$tmp/undefined" | sed 's/@.*//' | sort -u |
			sed 's/.*/void &(void) { abort(); }/'
	} >"$tmp/stub.c"
	echo "$version { global: *; };" >"$tmp/map"
	"${CC:-cc}" -shared -fPIC -w -fno-builtin -Wl,-soname,"$soname" -Wl,--version-script="$tmp/map" -o "$lib/$soname" "$tmp/stub.c"
done
