#!/bin/bash
# How long does a decision take, and how fast is the simulation? Some three minutes of one core.
#
#     experiments/decisions/run.sh [FOLDER]     results in FOLDER, by default beside this script
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${BUILD:-$root/build/release}
results=${1:-$root/experiments/decisions/results}

(cd "$root" && cmake --preset release -B "$build" >/dev/null && ninja -C "$build" decisions swapsim)
mkdir -p "$results"
"$build/experiments/decisions/decisions" | tee "$results/decisions.jsonl"

simulate() { # simulate NAME WORKLOAD: what was done, and the processor time it took
    out=$(mktemp -d)
    TIMEFORMAT='{"user_s": %U, "system_s": %S, "elapsed_s": %R}'
    { time "$build/engine/swapsim/swapsim" --config "$root/configs/million.yaml" \
        --workload "$2" --groups 16 --out "$out" >"$results/$1.txt" 2>/dev/null; } 2>"$results/$1.json"
    cat "$results/$1.txt" "$results/$1.json"
    rm -r "$out"
}
simulate million "$root/configs/workloads/million.yaml"
simulate tokens "$root/experiments/decisions/tokens.yaml"
