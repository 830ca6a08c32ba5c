#!/usr/bin/env bash
# Checks and times the CUDA backend on a machine with a card, Python with PyTorch and what prepare.sh has built:
#
#     OUT=FOLDER bench/gpu/check.sh
#     OUT=FOLDER STAGES='machine|tests|step base|peer base' ROUNDS=1 LIMIT=120 bench/gpu/check.sh
#
# It takes at most eight minutes, or LIMIT seconds; STAGES, a regular expression, and ROUNDS choose what is done in them. Every stage has a limit of its own and leaves what it found in $OUT/results.json and
# $OUT/log at once. The end of the output is for RESULTS.md.
set -u
cd "$(dirname "$0")/../.."
out=$(realpath -m "${OUT:?the folder for the results}")
bin=$PWD/.device peers=$PWD/bench/peers limit=${LIMIT:-470}
mkdir -p "$out"
: > "$out/log"
rm -f "$out/results.json"

# stage NAME SECONDS COMMAND... runs a command for so long at most, and less where the limit of all is near.
stage() {
  local name=$1 seconds=$2 start=$SECONDS status
  shift 2
  [[ $name =~ ^(${STAGES:-.*})$ ]] || return 0
  ((seconds < limit - SECONDS)) || seconds=$((limit - SECONDS))
  if ((seconds < 3)); then
    echo "== $name: no time is left" | tee -a "$out/log"
    return 1
  fi
  echo "== $name" | tee -a "$out/log"
  timeout -k 2 "$seconds" "$@" > "$out/stage" 2>&1
  status=$?
  cat "$out/stage" >> "$out/log"
  tail -n 12 "$out/stage"
  python3 bench/gpu/results.py add "$out/results.json" "$name" $status $((SECONDS - start)) < "$out/stage"
  return $status
}

machine() {
  nvidia-smi --query-gpu=name,driver_version,compute_cap,memory.total,clocks.max.sm --format=csv,noheader
  ldd --version | head -n 1
  ldconfig -p | grep -E 'libcuda\.so|libcublas\.so'
  echo "cuBLAS: ${cublas:-none}"
  echo "commit $(cat "$bin/commit")"
}

# PyTorch brings a cuBLAS that the system does not know of.
cublas=$(find / -xdev -name 'libcublas.so.1[123]' 2> /dev/null | sort | tail -n 1)

tests() { cd gpu && "$bin/gpu.test" -test.timeout 55s; }

sanitized() {
  local tool
  for tool in memcheck racecheck; do
    (cd gpu && timeout 37 compute-sanitizer --tool $tool --error-exitcode 1 "$bin/gpu.test" -test.short -test.run "$1") ||
      return 1
  done
}

# benchmarks PATTERN ROUNDS: those of a card alone
benchmarks() {
  (cd bench && MARGE_BENCH_LONG=1 "$bin/bench.test" -test.run '^$' -test.bench "$1" -test.benchtime "$2")
}

peer() { # SIZE DOCUMENTS TOKENS MATMUL MORE...
  local size=$1 documents=$2 tokens=$3 matmul=$4
  shift 4
  python3 "$peers/marge_torch.py" --bench --init "$size" --evidence "$documents" --targets "$documents" \
    --tokens $((tokens - 2)) --attention-dropout 0.1 --device cuda --matmul "$matmul" --steps 10 "$@"
}

export -f machine tests sanitized benchmarks peer
export bin peers cublas

stage machine 5 bash -c machine
stage parity 40 python3 -u "$peers/compare_parity.py" --work "$out/parity" --rows 1 --program "$bin/parity -backend cuda"
if ! stage tests 60 bash -c tests; then
  echo 'the tests fail: nothing is timed' | tee -a "$out/log"
  python3 bench/gpu/results.py table "$out/results.json" | tee -a "$out/log"
  exit 1
fi
if command -v compute-sanitizer > /dev/null; then
  stage sanitizer 75 bash -c "sanitized 'TestBackend/(Gemm|LayerNorm|Attention|Sums|Order)'"
fi
stage vectors 20 bash -c "benchmarks '^BenchmarkVector/.*/.*/backend=cuda/fp32' 20x"
stage products 30 bash -c "benchmarks '^BenchmarkGEMM/^(1024x1024x1024|2048x2048x2048|512x4096x1024|512x32000x512)\$/backend=cuda/' 20x"
if [[ $cublas ]]; then
  stage 'tests of cuBLAS' 20 bash -c "cd gpu && MARGE_CUBLAS=$cublas $bin/gpu.test -test.run CUBLAS"
  stage 'products, cuBLAS' 20 bash -c \
    "MARGE_CUBLAS=$cublas benchmarks '^BenchmarkGEMM/^(1024x1024x1024|2048x2048x2048|512x4096x1024)\$/backend=cuda/' 20x"
fi
stage attention 25 bash -c "benchmarks '^BenchmarkAttention/.*/.*/backend=cuda/(fp32|tf32)' 5x"
for ((round = 0; round < ${ROUNDS:-2}; round++)); do
  for step in 'small 32 128' 'base 16 256' 'paper 4 512'; do
    read -r size documents tokens <<< "$step"
    for precision in 'fp32 highest' 'tf32 high'; do
      read -r ours theirs <<< "$precision"
      name="$size/${documents}x$tokens"
      stage "step $name $ours" 12 bash -c "benchmarks '^BenchmarkStep/$name/backend=cuda/$ours' 10x"
      stage "peer $name $ours" 20 bash -c "peer $step $theirs"
    done
  done
done
if [[ $cublas ]]; then
  for name in small/32x128 base/16x256; do
    for precision in fp32 tf32; do
      stage "step $name $precision, cuBLAS" 12 bash -c \
        "MARGE_CUBLAS=$cublas benchmarks '^BenchmarkStep/$name/backend=cuda/$precision' 10x"
    done
  done
fi
stage 'step base/16x256 bf16' 12 bash -c "benchmarks '^BenchmarkStep/base/16x256/backend=cuda/bf16' 10x"
stage 'peer base/16x256 bf16' 20 bash -c 'peer base 16 256 high --autocast'
stage 'compiled base/16x256 fp32' 70 bash -c 'peer base 16 256 highest --compile'
stage 'compiled base/16x256 tf32' 70 bash -c 'peer base 16 256 high --compile'
rm -f "$out/stage"
python3 bench/gpu/results.py table "$out/results.json" | tee -a "$out/log"
