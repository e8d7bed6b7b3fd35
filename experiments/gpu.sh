#!/bin/bash
# An experiment on a machine with GPUs that has CUDA and python3, and nothing of ours:
#
#     tests/gpu.sh pack FOLDER BUILD                         where it was built
#     experiments/gpu.sh FOLDER EXPERIMENT/run.py [options]  there, in this checkout
#
# Programs, libraries and Python modules are those of FOLDER, the options are the script's.
set -euo pipefail
[ $# -ge 2 ] || {
    sed -n '2,7p' "$0" >&2
    exit 2
}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
packed=$(cd "$1" && pwd)
script=$here/$2
shift 2
# For what is the machine's own: torch brings its libraries.
export HOST_LD_LIBRARY_PATH=${LD_LIBRARY_PATH-}
# shellcheck disable=SC1091
. "$packed/env.sh"
SWAPSERVE_COMMIT=$(cat "$packed/commit")
export SWAPSERVE_COMMIT SWAPSERVE_BUILD=$packed PYTHONDONTWRITEBYTECODE=1 NCCL_NVLS_ENABLE=0
root=$(dirname "$here")
export PYTHONPATH=$root:$root/rpc/python:$packed/python
# One rank alone would be bound to one core, transfer thread and all.
export OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_rmaps_base_oversubscribe=1
# Huge pages for the arena, where we may: servers then start in a third of the time.
huge=/sys/kernel/mm/transparent_hugepage/hugepages-2048kB/shmem_enabled
[ ! -w "$huge" ] || echo advise >"$huge" || true
exec python3 "$script" "$@"
