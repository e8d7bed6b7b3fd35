#!/bin/bash
# Everything that needs a GPU. Pack where it was built, run where the GPUs are:
#
#     tests/gpu.sh pack FOLDER BUILD          the programs of the build tree BUILD, into FOLDER;
#                                             PYTHON_THERE is that machine's Python, 3.12
#     tests/gpu.sh run FOLDER RESULTS [STEP...]
#
# Steps, all by default: waits device comm faults ops memcheck golden graphs exact link swap busy
# steps llama deterministic; on demand: racecheck operations pieces profile beside.
# Results are JSON files and logs in RESULTS; the exit status says whether every step passed. `golden`,
# `link`, `swap` and `steps` use all GPUs of the node up to 4; `golden` needs a python3 with numpy.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")

usage() {
    sed -n '2,11p' "$0" >&2
    exit 2
}

if [ "${1:-}" = pack ] && [ $# = 3 ]; then
    programs=("$3"/tests/{stream_waits,beside_copies,contract_device,contract_transfer,ops_parity,ops_waits,golden_run,comm_mpi}
        "$3"/engine/serve/swapserve "$3"/rpc/swapctl "$3"/experiments/exact-swapping/replay
        "$3"/experiments/{swapbench/swapbench,stepbench/{stepbench,opbench,graphs_same}})
    "$here/gpu_pack.sh" "$2" "${programs[@]}" || exit
    # For experiments/gpu.sh: programs where they look for them, what they were built from, and what
    # the client needs.
    for place in engine/serve/swapserve experiments/{exact-swapping/replay,swapbench/swapbench,stepbench/stepbench}; do
        mkdir -p "$2/$(dirname "$place")"
        ln -sf "$(dirname "$place" | sed 's,[^/]*,..,g')/bin/$(basename "$place")" "$2/$place"
    done
    (cd "$root" && python3 -c 'from experiments.results import commit; print(commit())') >"$2/commit"
    exec python3 -m pip install --quiet --disable-pip-version-check --target "$2/python" --upgrade \
        --python-version "${PYTHON_THERE:-3.12}" --only-binary=:all: pyzmq msgpack pyyaml
fi
[ "${1:-}" = run ] && [ $# -ge 3 ] || usage

source "$2/env.sh"
packed=$(cd "$2" && pwd)
results=$3
shift 3
[ $# -gt 0 ] || set -- waits device comm faults ops memcheck golden graphs exact link swap busy steps llama deterministic
mkdir -p "$results"
gpus=$(nvidia-smi -L | wc -l)
ranks=$((gpus < 4 ? gpus : 4))
# One rank alone would be bound to one core, transfer thread and all.
export OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_rmaps_base_oversubscribe=1
export NCCL_NVLS_ENABLE=0
failures=$results/failed
: >"$failures"

try() { # try NAME SECONDS COMMAND...
    local name=$1 limit=$2 start=$SECONDS
    shift 2
    if timeout -k 5 "$limit" "$@" >"$results/$name.log" 2>&1; then
        echo "== ok $name, $((SECONDS - start)) s"
    else
        echo "$name" >>"$failures"
        echo "== FAILED $name, $((SECONDS - start)) s"
    fi
    tail -n 30 "$results/$name.log"
}

swap() { # swap TP PP [options]
    local name=swap-$1x$2 option
    for option in "${@:3}"; do name+=-${option#--}; done
    try "$name" 120 mpirun -np $(($1 * $2)) swapbench swap --tp "$1" --pp "$2" \
        --out "$results/$name.json" "${@:3}"
}

busy() { # busy TP PP
    try "busy-$1x$2" 120 mpirun -np $(($1 * $2)) swapbench swap --busy --graphs --tp "$1" --pp "$2" \
        --out "$results/busy-$1x$2.json"
}

each() { # each FUNCTION TPxPP...: FUNCTION TP PP for every layout that the GPUs allow
    local layout
    for layout in "${@:2}"; do
        [ $((${layout%x*} * ${layout#*x})) -gt "$ranks" ] || "$1" "${layout%x*}" "${layout#*x}"
    done
}

golden() { # golden TP PP [deterministic], of $model and $dtype
    local operations=real
    [ "$dtype" != bf16 ] || operations=real-bf16
    try "golden-$model-$dtype-$1x$2${3:+-$3}" 60 golden_run "$packed/golden/$model-$dtype" \
        "$here/golden/expected/$model-$dtype.json" "$1" "$2" cuda $operations "${@:3}"
}

graphs() { # graphs TP PP
    try "graphs-$1x$2" 60 mpirun -np $(($1 * $2)) graphs_same "$1" "$2"
}

step() { # step TP PP [options]
    local name=step-$1x$2
    try "$name" 150 mpirun -np $(($1 * $2)) stepbench --graphs --tp "$1" --pp "$2" \
        --out "$results/$name.json" "${@:3}"
}

exact() { # exact TP PP [--deterministic]: a loaded run's steps again, with everything resident
    local name=exact-$1x$2 option
    for option in "${@:3}"; do name+=-${option#--}; done
    try "$name" 90 "$root/experiments/gpu.sh" "$packed" exact-swapping/run.py --device cuda \
        --tp "$1" --pp "$2" --requests 200 --out "$results/$name.json" "${@:3}"
}

exact_deterministic() {
    exact "$1" "$2" --deterministic
}

profile() { # profile TP PP SHARE NAME: the steps of so many of the shape's layers
    try "profile-$4" 120 mpirun -np $(($1 * $2)) stepbench --graphs --tp "$1" --pp "$2" --scale "$3" \
        --out "$results/profile-$4.json"
}

for step in "$@"; do
    case $step in
    waits) try waits 90 stream_waits "$results/waits.json" ;;
    device)
        try device 60 contract_device cuda
        try transfer 60 contract_transfer cuda
        ;;
    comm) # one layout after another; peers that stay away take two seconds each
        for ((count = 1; count <= ranks; count *= 2)); do
            try "comm-$count" 90 mpirun -np "$count" comm_mpi cuda
        done
        ;;
    beside) try beside 30 beside_copies ;;
    faults) try faults 90 "$here/gpu/faults.sh" cuda "$ranks" "$results" ;;
    exact)
        each exact 1x1 2x1 1x2 4x1 2x2
        each exact_deterministic 1x1 2x1 1x2
        ;;
    deterministic) # its cost
        try step-1x1-deterministic 90 mpirun -np 1 stepbench --graphs --deterministic \
            --out "$results/step-1x1-deterministic.json"
        ;;
    llama) # the shape of Llama 3 8B
        try llama-1x1 90 mpirun -np 1 stepbench --model llama-3-8b --out "$results/llama-1x1.json"
        [ "$ranks" = 4 ] || continue
        try llama-4x1 90 mpirun -np 4 stepbench --model llama-3-8b --tp 4 \
            --out "$results/llama-4x1.json"
        ;;
    link) try link 90 mpirun -np "$ranks" swapbench link --out "$results/link-$ranks.json" ;;
    operations) try operations 60 opbench ;;
    ops)
        try ops_parity 120 ops_parity
        try ops_waits 60 ops_waits "$results/ops_waits.json"
        ;;
    golden)
        # Side by side: most of the time goes into starting.
        for model in opt-tiny llama-tiny qwen2-tiny; do
            for dtype in fp32 fp16 bf16; do
                layouts=(1x1)
                [ $dtype = fp32 ] || layouts+=(2x1 1x2 4x1 1x4 2x2) # fp32 is converted: one will do
                python3 "$here/golden/cast.py" "$here/golden/models/$model" \
                    "$packed/golden/$model-$dtype" $dtype || continue
                each golden "${layouts[@]}"
                golden 1 1 deterministic
            done &
        done
        wait
        ;;
    graphs) each graphs 1x1 2x1 1x2 4x1 2x2 1x4 ;;
    memcheck)
        try memcheck 200 compute-sanitizer --tool memcheck --error-exitcode 1 ops_parity
        ;;
    racecheck)
        # In some of cuBLAS's own kernels it finds races; ours must have none.
        # shellcheck disable=SC2016
        try racecheck 200 bash -c 'compute-sanitizer --tool racecheck ops_parity brief | tee /dev/stderr |
            awk "/Race reported/ && !/nvjet/ { bad = 1 } /RACECHECK SUMMARY/ { ended = 1 }
                 END { exit bad || !ended }"'
        ;;
    swap) each swap 1x1 4x1 1x4 2x2 ;;
    busy) each busy 1x1 2x1 1x2 4x1 2x2 ;;
    steps) each step 1x1 2x1 1x2 4x1 2x2 ;;
    profile) # what experiments/profile/run.py --from takes
        try profile-link 90 mpirun -np "$ranks" swapbench link --out "$results/profile-link.json"
        profile 1 1 0.1 1x1-few
        profile 1 1 0.5 1x1-more
        [ "$ranks" -gt 1 ] || continue
        profile "$ranks" 1 0.1 tp
        profile 1 "$ranks" 0.1 pp
        ;;
    pieces)
        for bytes in 4194304 33554432; do swap 1 1 --repeats=5 --piece=$bytes; done
        for count in 3 4; do swap 1 1 --repeats=5 --in-flight=$count; done
        ;;
    *) usage ;;
    esac
done
echo "failed: $(tr '\n' ' ' <"$failures")"
[ ! -s "$failures" ]
