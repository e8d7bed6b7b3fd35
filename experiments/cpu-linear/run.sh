#!/bin/bash
# How near are the CPU products to OpenBLAS? Builds and runs the comparison, about two minutes.
#
#     experiments/cpu-linear/run.sh [FOLDER]     results in FOLDER, by default beside this script
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${BUILD:-$root/build/release}
results=${1:-$root/experiments/cpu-linear/results}

if ! pkg-config --exists openblas; then
    echo "cpu-linear: OpenBLAS is missing: apt-get install libopenblas-dev" >&2
    exit 1
fi
(cd "$root" && cmake --preset release -B "$build" >/dev/null && ninja -C "$build" cpu-linear)

compare() { # compare SET CORE: our kernels of SET against OpenBLAS's of CORE
    echo "$1 against OpenBLAS's $2 kernels"
    # Left alone, OpenBLAS may take a recent processor for a very old one: name the kernels.
    OPENBLAS_CORETYPE=$2 OPENBLAS_NUM_THREADS=1 \
        "$build/experiments/cpu-linear/cpu-linear" "$1" "$results/$1.json"
    echo >>"$results/$1.json"
}

mkdir -p "$results"
if grep -qw avx512bw /proc/cpuinfo; then
    compare avx512 SKYLAKEX
fi
compare avx2 HASWELL
