#!/usr/bin/env bash
# Installs, builds, and serves three small models on four ranks of the CPU device; sends them a stream
# of prompts, and shows what came of it. May be repeated. About two minutes the first time.
#
#   ./experiments/quickstart.sh [--requests N] [--rate PER_SECOND] [--seed N] [--texts N] [--publish]
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
case ${1:-} in -h | --help)
    sed -n '2,5s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
esac
./experiments/setup.sh
mkdir -p build/logs
start=$SECONDS
if ! { cmake --preset release && cmake --build --preset release --target swapserve swapctl; } \
    >build/logs/quickstart-build.log 2>&1; then
    tail -n 40 build/logs/quickstart-build.log
    echo "the build failed: build/logs/quickstart-build.log" >&2
    exit 1
fi
echo "build: $((SECONDS - start)) s"
PYTHONPATH=rpc/python:. exec .venv/bin/python -m experiments.quickstart.run "$@"
