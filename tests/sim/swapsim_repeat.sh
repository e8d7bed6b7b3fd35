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
run a --workload $mixed --rate 0.2 --seed 7 --save-arrivals "$out/arrivals.csv" --tokens "$out/tokens.csv"
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
run d/e/f --workload "$out/replay.yaml" --save-arrivals "$out/again.csv"
same arrivals.csv again.csv
same a/requests.csv d/e/f/requests.csv
run h --arrivals "$out/arrivals.csv" --slo 500
same a/requests.csv h/requests.csv
run i --arrivals "$out/arrivals.csv" --duration 10 --rate 2
run j --workload configs/workloads/computron-1-1-1.yaml --duration 0.001

python3 -c '
import csv, json, sys
out = sys.argv[1]
rows = list(csv.DictReader(open(out + "/h/requests.csv")))
late = [row for row in rows if not float(row["end_s"]) - float(row["arrival_s"]) <= 0.5]
summary = json.load(open(out + "/h/summary.json"))
assert summary["slo_s"] == 0.5 and 0 < len(late) < len(rows), len(late)
assert abs(summary["slo_attainment"] - (1 - len(late) / len(rows))) < 1e-6
listed = [float(row["time_s"]) for row in csv.DictReader(open(out + "/arrivals.csv"))]
came = sorted(float(row["arrival_s"]) for row in csv.DictReader(open(out + "/i/requests.csv")))
wanted = [time / 2 for time in listed if time < 10]
assert 5 < len(came) == len(wanted) < len(listed)
assert max(abs(a - b) for a, b in zip(came, wanted)) < 1e-8
none = json.load(open(out + "/j/summary.json"))
assert none["requests"] == 0 and none["slo_attainment"] is None and none["hidden_share"] is None
assert none["latency_s"]["count"] == 0 and none["latency_s"]["mean"] is None
assert none["models"][0]["mean_latency_s"] is None and none["models"][0]["cv"] is None
' "$out"
"$swapsim" --config configs/simulate.yaml --workload configs/workloads/computron-1-1-1.yaml \
  --duration 0.001 > "$out/said"
grep -qx "latency      -" "$out/said" || { cat "$out/said"; exit 1; }

run e --workload configs/workloads/computron-1-1-1.yaml --groups 2 --check
run f --workload configs/workloads/computron-1-1-1.yaml --groups 2
same e/summary.json f/summary.json
run g --workload configs/workloads/turns.yaml
[ "$(wc -l < "$out/g/requests.csv")" -eq 101 ]
[ "$(grep -c ',length$' "$out/g/requests.csv")" -eq 100 ]

# At the door, as the server: a deadline that the answer's tokens cannot meet is refused; and whose
# request is refused asks again after a while, not at once for ever.
printf 'duration: 5s\ndeadline: 1s\noutput: {tokens: 300}\nstreams:\n- turns: {clients: 1}\n' > "$out/late.yaml"
run k --workload "$out/late.yaml"
[ "$(grep -c ',deadline_exceeded$' "$out/k/requests.csv")" -eq 50 ] ||
  { echo "late answers:"; head -n 5 "$out/k/requests.csv"; exit 1; }

# Batches as large as servers like them.
cat > "$out/large.yaml" <<YAML
profile: $PWD/configs/profiles/h200-x4.yaml
group: {tp: 1, pp: 1}
device: {kind: cuda, pool: 60GiB}
limits: {batch: 200}
models: [{name: m, synthetic: opt-13b}]
YAML
printf 'requests: 400\noutput: {tokens: 20}\nstreams:\n- turns: {clients: 200}\n' > "$out/many.yaml"
"$swapsim" --config "$out/large.yaml" --workload "$out/many.yaml" --out "$out/l" --quiet
[ "$(grep -c ',length$' "$out/l/requests.csv")" -eq 400 ]

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

# A full disk: no digest of success, and a status of its own.
mkdir "$out/full"
for name in requests.csv summary.json wall.json; do
  ln -sf /dev/full "$out/full/$name"
  status=0
  "$swapsim" --config configs/simulate.yaml --workload $mixed --duration 3 --out "$out/full" \
    > "$out/said" 2> "$out/why" || status=$?
  [ "$status" -eq 3 ] && [ ! -s "$out/said" ] && grep -q "$name: was not written whole" "$out/why" ||
    { echo "a full disk ($name): status $status"; cat "$out/said" "$out/why"; exit 1; }
  rm "$out/full/$name"
done
status=0
"$swapsim" --config configs/simulate.yaml --workload $mixed --duration 3 > /dev/full 2>&1 || status=$?
[ "$status" -eq 3 ] || { echo "a digest nowhere: status $status"; exit 1; }

refused "one of --workload FILE and --arrivals FILE are required" --config configs/simulate.yaml
refused "expected one of them" \
  --config configs/simulate.yaml --workload $mixed --arrivals "$out/arrivals.csv"
refused "--duration: found 1e400, expected a number from" --duration 1e400
refused "$out/none.yaml: cannot open it" --config "$out/none.yaml" --workload "$out/nowhere.yaml"
[ "$(grep -c "none.yaml" "$out/said")" -eq 1 ] && [ "$(grep -c "nowhere.yaml" "$out/said")" -eq 1 ] ||
  { echo "not said once each:"; cat "$out/said"; exit 1; }
refused "nothing.csv: " --config configs/simulate.yaml --arrivals "$out/nothing.csv"
refused "--groups: found 0, expected an integer from 1" --groups 0
refused "found no profile" --config configs/h200-opt13b.yaml --workload $mixed
printf 'requests: 1\nstreams:\n- poisson: {rate: 1}\n  models: none\n' > "$out/wrong.yaml"
refused "wrong.yaml:3: models: found none" --config configs/simulate.yaml --workload "$out/wrong.yaml"
printf 'time_s,model,prompt_tokens,output_tokens,class\n1,opt-0,1,1,normal\n0.5,opt-0,1,1,normal\n' \
  > "$out/arrivals.csv"
refused "arrivals.csv:3: a time before the last line's" \
  --config configs/simulate.yaml --workload "$out/replay.yaml"
echo "all as expected"
