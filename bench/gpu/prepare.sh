#!/usr/bin/env bash
# Builds what check.sh runs on a machine with a card, into .device, which git ignores. Such a machine needs neither Go
# nor this one's libraries, but glibc 2.34.
set -euo pipefail
cd "$(dirname "$0")/../.."
export CGO_CFLAGS="-I$PWD/gpu/include" CGO_ENABLED=1
mkdir -p .device
for package in gpu bench; do
  go test -c -tags cuda -ldflags '-s -w' -o .device/$package.test ./$package
done
go build -tags cuda -ldflags '-s -w' -o .device/parity ./examples/parity
git describe --always --dirty > .device/commit
ls -l .device
