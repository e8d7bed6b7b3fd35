#!/bin/bash
# Everything that needs a GPU. Pack where it was built, run where the GPUs are:
#
#     tests/gpu.sh pack FOLDER BUILD          the programs of the build tree BUILD, into FOLDER
#     tests/gpu.sh run FOLDER RESULTS [STEP...]
#
# Steps, all by default: waits device ops memcheck link swap; pieces, too. Results are JSON files and logs in RESULTS; the
# exit status says whether every step passed. `link` and `swap` use all GPUs of the node up to 4.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

usage() {
    sed -n '2,8p' "$0" >&2
    exit 2
}

if [ "${1:-}" = pack ] && [ $# = 3 ]; then
    programs=("$3"/tests/{stream_waits,contract_device,contract_transfer,ops_parity,ops_waits}
        "$3/experiments/swapbench/swapbench")
    exec "$here/gpu_pack.sh" "$2" "${programs[@]}"
fi
[ "${1:-}" = run ] && [ $# -ge 3 ] || usage

source "$2/env.sh"
results=$3
shift 3
[ $# -gt 0 ] || set -- waits device ops memcheck link swap
mkdir -p "$results"
gpus=$(nvidia-smi -L | wc -l)
ranks=$((gpus < 4 ? gpus : 4))
# One rank alone would be bound to one core, transfer thread and all.
export OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_rmaps_base_oversubscribe=1
export NCCL_NVLS_ENABLE=0
failed=()

try() { # try NAME SECONDS COMMAND...
    local name=$1 limit=$2 start=$SECONDS
    shift 2
    echo "== $name"
    if timeout -k 5 "$limit" "$@" 2>&1 | tee "$results/$name.log"; then
        echo "== ok $name, $((SECONDS - start)) s"
    else
        failed+=("$name")
        echo "== FAILED $name, $((SECONDS - start)) s"
    fi
}

swap() { # swap TP PP [options]
    local name=swap-$1x$2 option
    for option in "${@:3}"; do name+=-${option#--}; done
    try "$name" 120 mpirun -np $(($1 * $2)) swapbench swap --tp "$1" --pp "$2" \
        --out "$results/$name.json" "${@:3}"
}

for step in "$@"; do
    case $step in
    waits) try waits 90 stream_waits "$results/waits.json" ;;
    device)
        try device 60 contract_device cuda
        try transfer 60 contract_transfer cuda
        ;;
    link) try link 90 mpirun -np "$ranks" swapbench link --out "$results/link-$ranks.json" ;;
    ops)
        try ops_parity 120 ops_parity
        try ops_waits 60 ops_waits "$results/ops_waits.json"
        ;;
    memcheck)
        try memcheck 200 compute-sanitizer --tool memcheck --error-exitcode 1 ops_parity
        try racecheck 200 compute-sanitizer --tool racecheck --error-exitcode 1 ops_parity brief
        ;;
    swap)
        swap 1 1
        [ "$ranks" = 4 ] || continue
        swap 4 1
        swap 1 4
        swap 2 2
        ;;
    pieces)
        for bytes in 4194304 33554432; do swap 1 1 --repeats=5 --piece=$bytes; done
        for count in 3 4; do swap 1 1 --repeats=5 --in-flight=$count; done
        ;;
    *) usage ;;
    esac
done
echo "failed: ${failed[*]:-none}"
[ ${#failed[@]} = 0 ]
