#!/bin/bash
# Installs what swapserve needs on a bare Debian 12: packages through apt, and a Python environment
# in .venv. What is there already is left alone, so a second run takes no time.
#
#     experiments/setup.sh            to build, run and plot
#     experiments/setup.sh --tests    also to test: Criterion, clang and its tools
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

packages=(cmake ninja-build gcc libc6-dev pkg-config libopenmpi-dev openmpi-bin openssh-client
    libzmq3-dev libmsgpack-dev libfyaml-dev libjansson-dev libpcre2-dev libutf8proc-dev
    libxxhash-dev python3 python3-venv ca-certificates)
test_packages=(libcriterion-dev clang clang-format-14 clang-tidy-14 libclang-rt-14-dev llvm-14)
modules=('pyzmq>=25' 'msgpack>=1.0' 'numpy>=1.26' 'matplotlib>=3.7'
    'pyyaml>=6')
imports='import zmq, msgpack, numpy, matplotlib, yaml'

die() {
    echo "setup: $*" >&2
    exit 1
}

phase() { # phase NAME SINCE: one line with the seconds since SINCE
    printf 'setup: %-42s %4d s\n' "$1" $((SECONDS - $2))
}

missing() { # prints those of its arguments that dpkg does not report as installed
    local package
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
            echo "$package"
    done
}

retry() { # retry LOG COMMAND...: three tries, some seconds apart; the log is shown on failure
    local log=$1 try
    shift
    for try in 1 2 3; do
        "$@" >>"$log" 2>&1 && return 0
        echo "setup: try $try of 3 failed: $*" >&2
        sleep $((try * 5))
    done
    tail -n 30 "$log" >&2
    return 1
}

install_packages() {
    local start=$SECONDS log want=() as_root=()
    mapfile -t want < <(missing "$@")
    if ((${#want[@]} == 0)); then
        phase "packages: all $# there" "$start"
        return
    fi
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || die "not root and no sudo; as root, run:
    apt-get install -y --no-install-recommends ${want[*]}"
        sudo -n true 2>/dev/null || [ -t 0 ] || die "sudo asks for a password; as root, run:
    apt-get install -y --no-install-recommends ${want[*]}"
        as_root=(sudo)
    fi
    local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q
        -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
    log=$(mktemp)
    retry "$log" "${apt[@]}" update || die "apt-get update failed"
    retry "$log" "${apt[@]}" install -y --no-install-recommends "${want[@]}" ||
        die "apt could not install: ${want[*]}"
    rm -f "$log"
    phase "packages: ${#want[@]} of $# installed" "$start"
}

make_venv() { # Debian's python3 first; another one on PATH may lack venv, or be too old
    local python
    for python in /usr/bin/python3 python3; do
        rm -rf "$root/.venv"
        "$python" -m venv "$root/.venv" >>"$1" 2>&1 && return 0
    done
    tail -n 30 "$1" >&2
    die "no python3 here can make a virtual environment"
}

install_modules() {
    local start=$SECONDS log
    if "$root/.venv/bin/python" -c "$imports" 2>/dev/null; then
        phase "python: .venv is complete" "$start"
        return
    fi
    log=$(mktemp)
    "$root/.venv/bin/python" -m pip --version >/dev/null 2>&1 || make_venv "$log"
    retry "$log" "$root/.venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        "${modules[@]}" || die "pip could not install: ${modules[*]}"
    "$root/.venv/bin/python" -c "$imports" || die "the modules were installed but do not load"
    rm -f "$log"
    phase "python: ${modules[*]%%>*}" "$start"
}

case ${1:-} in
'') ;;
--tests) packages+=("${test_packages[@]}") ;;
*) die "usage: experiments/setup.sh [--tests]" ;;
esac
command -v dpkg-query >/dev/null || die "this is for Debian 12 and its relatives; elsewhere, install
the packages named in this script by hand and use the CMake presets"
install_packages "${packages[@]}"
install_modules
