#!/usr/bin/env bash
# Two models of OPT-13B's shape take turns on four GPUs that hold one: what does swapctl see?
#
#   experiments/gpu-serve/run.sh PACKED OUT     PACKED: what tests/gpu.sh pack made, with swapserve and swapctl
set -u
packed=$1 out=$2
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck disable=SC1091
. "$packed/env.sh"
export SWAPSERVE_ENDPOINT=ipc:///tmp/gpu-serve.sock
mpirun -np 4 swapserve --config "$root/configs/h200-opt13b.yaml" --endpoint "$SWAPSERVE_ENDPOINT" \
    --trace "$out/trace.json" >"$out/server.log" 2>&1 &
server=$!
for _ in $(seq 120); do
    swapctl status >/dev/null 2>&1 && break
    kill -0 $server 2>/dev/null || break
    sleep 1
done
tokens=2,100,200,300,400,500,600,700
ask() { # ask MODEL MAX_TOKENS NAME
    swapctl submit "$1" --tokens "$tokens" --max-tokens "$2" --ignore-eos --json >"$out/$3.json" 2>&1
}
for turn in 1 2 3 4 5; do
    ask a 1 "cold-a-$turn"
    ask b 1 "cold-b-$turn"
done
ask b 1 warm-1
ask b 1 warm-2
ask b 64 decode
ask a 64 cold-decode-a
ask b 64 cold-decode-b
swapctl status --json >"$out/status.json"
swapctl status
swapctl drain
wait $server
echo "exit status $?"
