#!/bin/bash
# The experiment on a machine with four GPUs that has python3, torch and numpy, and nothing of ours:
#
#     experiments/swap-scaling/gpu.sh pack FOLDER BUILD [PYTHON]     where it was built
#     experiments/swap-scaling/gpu.sh run FOLDER RESULTS [options of run.py]    there
#
# PYTHON is the version there (3.12), for the two modules of the client. A run begins nothing that
# would end after 300 s; what is missing then, another run into the same RESULTS adds.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)

pack() { # pack FOLDER BUILD PYTHON
    "$root/tests/gpu_pack.sh" "$1" "$2"/engine/serve/swapserve "$2"/experiments/swapbench/swapbench
    python3 -m pip install --quiet --disable-pip-version-check --target "$1/python" --upgrade \
        --python-version "$3" --only-binary=:all: pyzmq msgpack
    git -C "$root" describe --always --dirty --abbrev=12 >"$1/commit"
    # Where the experiments look for programs.
    mkdir -p "$1"/engine/serve "$1"/experiments/swapbench
    mv "$1/bin/swapserve" "$1/engine/serve/"
    mv "$1/bin/swapbench" "$1/experiments/swapbench/"
}

run() { # run FOLDER RESULTS [options]
    local packed results
    packed=$(cd "$1" && pwd)
    mkdir -p "$2"
    results=$(cd "$2" && pwd)
    shift 2
    export HOST_LD_LIBRARY_PATH=${LD_LIBRARY_PATH-}
    # shellcheck disable=SC1091
    . "$packed/env.sh"
    chmod +x "$packed"/engine/serve/* "$packed"/experiments/swapbench/*
    export SWAPSERVE_BUILD=$packed PYTHONPATH=$root:$root/rpc/python:$packed/python
    SWAPSERVE_COMMIT=$(cat "$packed/commit")
    export SWAPSERVE_COMMIT PYTHONDONTWRITEBYTECODE=1 OMPI_MCA_rmaps_base_oversubscribe=1 NCCL_NVLS_ENABLE=0
    [ $# -gt 0 ] || set -- --device cuda --torch python3
    # Huge pages for the arena, where we may: servers then start in a third of the time.
    local huge=/sys/kernel/mm/transparent_hugepage/hugepages-2048kB/shmem_enabled
    [ ! -w "$huge" ] || echo advise >"$huge" || true
    nvidia-smi --query-gpu=name,driver_version,pcie.link.gen.max --format=csv || true
    python3 "$here/run.py" --seconds 300 --resume --out "$results" "$@" 2>&1 | tee -a "$results/log"
}

if [ "${1:-}" = pack ] && [ $# -ge 3 ]; then
    pack "$2" "$3" "${4:-3.12}"
elif [ "${1:-}" = run ] && [ $# -ge 3 ]; then
    shift
    run "$@"
else
    sed -n '2,8p' "$0" >&2
    exit 2
fi
