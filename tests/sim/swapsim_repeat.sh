#!/bin/sh
# swapsim_repeat.sh SWAPSIM: runs of one seed give the same files to the byte, whatever else runs,
# and other seeds other ones; recorded arrivals replay; wrong files are refused by name.
set -eu
swapsim=$1
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

run() { # run NAME ARGUMENTS...
  name=$1; shift
  "$swapsim" --config configs/simulate.yaml --out "$out/$name" --quiet "$@"
}
same() { cmp "$out/$1" "$out/$2"; }
differ() { ! cmp -s "$out/$1" "$out/$2" || { echo "$1 and $2 are the same"; exit 1; }; }
refused() { # refused TEXT ARGUMENTS...: exit status 2, and TEXT is said
  text=$1; shift
  status=0
  "$swapsim" "$@" > "$out/said" 2>&1 || status=$?
  [ "$status" -eq 2 ] || { echo "status $status, expected 2: $*"; cat "$out/said"; exit 1; }
  grep -qF -e "$text" "$out/said" || { echo "not said: $text"; cat "$out/said"; exit 1; }
}

mixed=configs/workloads/classes.yaml
run a --workload $mixed --rate 0.2 --seed 7 --arrivals "$out/arrivals.csv" --tokens "$out/tokens.csv"
run b --workload $mixed --rate 0.2 --seed 7
run c --workload $mixed --rate 0.2 --seed 8
same a/summary.json b/summary.json
same a/requests.csv b/requests.csv
differ a/requests.csv c/requests.csv

python3 -c '
import json, sys
summary, wall = json.load(open(sys.argv[1])), json.load(open(sys.argv[2]))
rows = open(sys.argv[3]).read().splitlines()
assert summary["requests"] == summary["answered"] == len(rows) - 1 > 20
assert sum(model["requests"] for model in summary["models"]) == summary["requests"]
assert sum(of["latency_s"]["count"] for of in summary["classes"].values()) == len(rows) - 1
assert wall["wall_s"] > 0
tokens = [line.split(",") for line in open(sys.argv[4]).read().splitlines()[1:]]
gaps = [float(token[2]) for token in tokens if token[2]]
assert len(tokens) == summary["tokens"] and len(tokens) - len(gaps) == summary["requests"]
assert summary["between_tokens_s"]["count"] == len(gaps)
assert max(gaps) == summary["between_tokens_s"]["max"]
' "$out/a/summary.json" "$out/a/wall.json" "$out/a/requests.csv" "$out/tokens.csv"

printf 'streams:\n- replay: {csv: arrivals.csv}\n' > "$out/replay.yaml"
run d --workload "$out/replay.yaml" --arrivals "$out/again.csv"
same arrivals.csv again.csv
same a/requests.csv d/requests.csv

run e --workload configs/workloads/computron-1-1-1.yaml --groups 2 --check
run f --workload configs/workloads/computron-1-1-1.yaml --groups 2
same e/summary.json f/summary.json
run g --workload configs/workloads/turns.yaml
[ "$(wc -l < "$out/g/requests.csv")" -eq 101 ]
[ "$(grep -c ',length$' "$out/g/requests.csv")" -eq 100 ]

# Allocations that fail before, while and after the run begins: an error with the command that
# replays it, until a run has fewer of them.
nth=1
failures=0
while :; do
  status=0
  SWAPSERVE_FAULT=alloc:$nth "$swapsim" --config configs/simulate.yaml --workload $mixed \
    > "$out/said" 2>&1 || status=$?
  [ "$status" -ne 0 ] || break
  grep -q "replay: .*--workload $mixed --seed 1\$" "$out/said" ||
    { echo "alloc:$nth: status $status, no command to replay it"; cat "$out/said"; exit 1; }
  failures=$((failures + 1))
  nth=$((nth * 3 / 2 + 1))
done
[ "$failures" -gt 8 ] || { echo "only $failures failures"; exit 1; }

refused "--config FILE and --workload FILE are required" --config configs/simulate.yaml
refused "--groups: found 0, expected an integer from 1" --groups 0
refused "found no profile" --config configs/h200-opt13b.yaml --workload $mixed
printf 'requests: 1\nstreams:\n- poisson: {rate: 1}\n  models: none\n' > "$out/wrong.yaml"
refused "wrong.yaml:3: models: found none" --config configs/simulate.yaml --workload "$out/wrong.yaml"
printf 'time_s,model,prompt_tokens,output_tokens,class\n1,opt-0,1,1,normal\n0.5,opt-0,1,1,normal\n' \
  > "$out/arrivals.csv"
refused "arrivals.csv:3: a time before the last line's" \
  --config configs/simulate.yaml --workload "$out/replay.yaml"
echo "all as expected"
