#!/bin/bash
# What a server says when memory is short at its start, and when a rank stops answering in the middle
# of its work. swapserve and swapctl are to be on the PATH.
#
#     tests/gpu/faults.sh DEVICE RANKS RESULTS       cuda, or cpu as a check of this script
set -uo pipefail
[ $# = 3 ] || {
    sed -n '2,6p' "$0" >&2
    exit 2
}
device=$1 ranks=$2 results=$3
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0
limit=20 # seconds that the others may take to end, of which they wait 4

check() { # check NAME TEXT FILE: whether FILE has TEXT
    if grep -qE "$2" "$3"; then
        echo "ok $1: $(grep -m1 -E "$2" "$3")"
    else
        echo "FAILED $1: no \"$2\" in:"
        cat "$3"
        failed=1
    fi
}

config() { # config POOL TP PP
    cat <<YAML
group: {tp: $2, pp: $3}
device: {kind: $device, pool: $1}
limits: {peer_timeout: 4s}
models: [{name: m, synthetic: opt-125m, seed: 1, context: 2048}]
YAML
}

serve() { # serve NAME RANKS: in the background; its id in $server
    mpirun -np "$2" swapserve --config "$folder/$1.yaml" --endpoint "ipc://$folder/$1" \
        >"$results/$1.log" 2>&1 &
    server=$!
    for ((i = 0; i < 300; i++)); do
        kill -0 $server 2>/dev/null && ! grep -q "ready after" "$results/$1.log" || return
        sleep 0.1
    done
}

# More than any device has. (The CPU device's memory is what its config says: nothing to be short of.)
if [ "$device" = cuda ]; then
    config 4TiB 1 1 >"$folder/memory.yaml"
    serve memory 1
    wait $server && failed=1
    check memory 'bytes.*(free|available)' "$results/memory.log"
fi

ask() { # ask NAME: long answers, until one fails
    for ((n = 0; n < 20; n++)); do
        swapctl --endpoint "ipc://$folder/$1" submit --max-tokens 1900 --ignore-eos --tokens 2,3,4 m || return
    done
}

lose() { # lose TP PP: the last rank stands still in the middle of a long answer
    local name=lost-$1x$2 begun children
    config 1GiB "$1" "$2" >"$folder/$name.yaml"
    serve "$name" $(($1 * $2))
    ask "$name" >"$folder/answer" 2>&1 &
    local asked=$!
    sleep 1
    children=$(pgrep -P $server | sort -n | tail -n 1)
    kill -STOP "$children"
    begun=$SECONDS
    for ((i = 0; i < limit * 10; i++)); do
        kill -0 $server 2>/dev/null || break
        sleep 0.1
    done
    if kill -0 $server 2>/dev/null; then
        echo "FAILED $name: it hangs"
        kill -KILL "$children" $server
        failed=1
    fi
    wait $server && failed=1
    kill -KILL "$children" 2>/dev/null
    wait $asked && failed=1
    echo "$name ended after $((SECONDS - begun)) s"
    check "$name" 'ERROR [^]]*\] .*(is lost|waited over|did not end)' "$results/$name.log" # past the prefix, which names a rank
}
case $ranks in
1) ;;
2 | 3)
    lose 2 1
    lose 1 2
    ;;
*) lose 2 2 ;;
esac
exit $failed
