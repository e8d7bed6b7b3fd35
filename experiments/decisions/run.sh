#!/bin/bash
# How long does a decision take, and how fast is the simulation? About five minutes on one core.
#
#     experiments/decisions/run.sh [FOLDER]     results in FOLDER, by default beside this script
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${BUILD:-$root/build/release}
results=${1:-$root/experiments/decisions/results}

(cd "$root" && cmake --preset release -B "$build" >/dev/null && ninja -C "$build" decisions swapsim)
mkdir -p "$results"
"$build/experiments/decisions/decisions" | tee "$results/decisions.jsonl"

simulate() { # simulate NAME CONFIG WORKLOAD
    out=$(mktemp -d)
    "$build/engine/swapsim/swapsim" --config "$2" --workload "$3" --groups 16 --out "$out"
    grep -v '"name":' "$out/summary.json" | grep -E '"(requests|answered|loads|steps|tokens|bytes_loaded|policy)"' |
        sed 's/^/ /' >"$results/$1-work.txt"
    cp "$out/wall.json" "$results/$1.json"
    rm -r "$out"
}
simulate million "$root/configs/million.yaml" "$root/configs/workloads/million.yaml"
simulate tokens "$root/configs/million.yaml" "$root/experiments/decisions/tokens.yaml"
