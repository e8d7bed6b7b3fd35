#!/bin/bash
# Installs, builds and tests everything; the last line says how much passed and failed.
#
#     tests/run.sh            all of it
#     tests/run.sh --quick    the release build and its tests alone
#
# Logs and build trees lie under build/. tests/README.md says what each phase is for.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit 1
logs=$root/build/logs
fuzz_seconds=${FUZZ_SECONDS:-10}
fuzz_seed=${FUZZ_SEED:-1}
jobs=${JOBS:-$(nproc)}

# Open MPI refuses root and more ranks than cores unless told otherwise.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1

passed=0
failed=0
failures=()

report() { # report NAME SINCE PASSED FAILED: one line, and the totals
    passed=$((passed + $3))
    failed=$((failed + $4))
    printf '%-34s %4d passed %3d failed %5d s\n' "$1" "$3" "$4" $((SECONDS - $2))
    [ "$4" = 0 ] || failures+=("$1")
}

show() { # show LOG LINES: the end of a log, indented, without the steps that went well
    grep -vE '^\[[0-9]+/[0-9]+\] ' "$1" | tail -n "$2" | sed 's/^/    /'
}

check() { # check NAME LOG COMMAND...: one command that passes or fails
    local name=$1 log=$logs/$2.log start=$SECONDS
    shift 2
    if "$@" >"$log" 2>&1; then
        report "$name" "$start" 1 0
        return 0
    fi
    show "$log" 60
    report "$name" "$start" 0 1
    return 1
}

build() { # build NAME [cmake options]: configures and builds build/NAME; counts as one check
    local name=$1 start=$SECONDS log=$logs/build-$1.log
    shift
    cmake --preset "$name" "$@" >"$log" 2>&1
    local configured=$?
    [ "$name" != release ] || sed -n 's/^-- \(CUDA side: .*\)/\1/p' "$log"
    if [ "$configured" = 0 ] && cmake --build "build/$name" -j "$jobs" -- -k 0 >>"$log" 2>&1; then
        report "build $name" "$start" 1 0
        return 0
    fi
    show "$log" 60
    report "build $name" "$start" 0 1
    return 1
}

tests_of() { # tests_of NAME PRESET ctest options...: one CTest run, counted test by test
    local name=$1 dir=build/$2 start=$SECONDS total=0 bad=0 log
    log=$logs/$(tr ' ' '-' <<<"$1").log
    shift 2
    ctest --test-dir "$dir" --output-on-failure --no-tests=ignore "$@" >"$log" 2>&1
    local status=$?
    read -r bad total < <(
        sed -nE 's/^.* tests passed, ([0-9]+) tests? failed out of ([0-9]+).*/\1 \2/p' "$log")
    [ -n "${total:-}" ] || total=0
    [ -n "${bad:-}" ] || bad=0
    [ "$status" = 0 ] || [ "$bad" != 0 ] || bad=1 # CTest itself broke
    [ "$bad" = 0 ] || show "$log" 150
    report "$name" "$start" $((total > bad ? total - bad : 0)) "$bad"
}

reports_of() { # reports_of NAME FOLDER: sanitizers' reports, one file a process, each a failure
    local start=$SECONDS count=0 file
    for file in "$2"/*; do
        [ -s "$file" ] || continue
        count=$((count + 1))
        [ "$count" -gt 5 ] || show <(head -n 40 "$file") 40
    done
    report "$1" "$start" $((count == 0)) "$count"
}

# --- the phases ---------------------------------------------------------------------------------

release() {
    build release || return 1
    tests_of "release tests" release -j "$jobs" -LE timing
    tests_of "release tests, timed" release -j 1 -L timing
}

# Criterion's workers may leak without failing, so reports go to files, and any file is a failure.
# Open MPI and what it loads leak by themselves: programs under mpirun run without that check.
asan() {
    build asan || return 1
    local reports=$root/build/asan/reports
    rm -rf "$reports" && mkdir -p "$reports"
    export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1:log_path=$reports/ubsan
    export LSAN_OPTIONS=suppressions=$root/tests/lsan.txt:print_suppressions=0
    # Not detect_stack_use_after_return: its frames are not aligned as AVX-512 needs (GCC 110027).
    ASAN_OPTIONS=detect_leaks=1:log_path=$reports/asan \
        tests_of "asan tests" asan -j "$jobs" -LE 'timing|house|mpi'
    ASAN_OPTIONS=detect_leaks=0:log_path=$reports/asan \
        tests_of "asan tests under mpirun" asan -j "$jobs" -L mpi -LE timing
    reports_of "asan reports" "$reports"
    unset UBSAN_OPTIONS LSAN_OPTIONS
}

# Criterion cannot run under ThreadSanitizer, and Open MPI and ZeroMQ are not instrumented: the
# label "tsan" names the plain threaded programs that can.
tsan() {
    build tsan || return 1
    TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:suppressions=$root/tests/tsan.txt \
        tests_of "tsan tests" tsan -j "$jobs" -L tsan
}

sources() { # sources GLOB...: files of ours, build trees and environments left out
    local names=() glob
    for glob in "$@"; do names+=(-o -name "$glob"); done
    find . \( -path './build*' -o -path './.*' -o -path ./out \) -prune -o \
        -type f \( "${names[@]:1}" \) -print
}

check_format() {
    sources '*.c' '*.h' '*.cu' '*.cuh' | xargs -r clang-format-14 --dry-run --Werror
}

# Reads the flags from the release build; tests are left out, as Criterion's macros are noise. One
# file a run: with several, this version takes every va_list after the first for uninitialised.
check_tidy() {
    local tidy=(xargs -r -P "$jobs" -n 1 clang-tidy-14 --quiet -p build/release) bad=0
    local own='/engine/base/(status|memory)\.c$' # define what analyzer.h wraps
    built_sources | grep -Ev "$own" |
        "${tidy[@]}" --extra-arg=-include --extra-arg="$root/tests/house/analyzer.h" || bad=1
    built_sources | grep -E "$own" | "${tidy[@]}" || bad=1
    return "$bad"
}

built_sources() { # the C files that the release build compiled, outside tests/
    sed -nE 's/^ *"file": "(.*\.c)",?$/\1/p' build/release/compile_commands.json | sort -u |
        grep -v "^$root/tests/"
}

# From fixed seeds, so that two runs try much the same; FUZZ_SEED=0 tries something new each time.
fuzz() {
    build_fuzz || return 1
    local program name corpus
    local -x LSAN_OPTIONS=suppressions=$root/tests/lsan.txt:print_suppressions=0
    for program in build/fuzz/tests/fuzz_*; do
        [ -x "$program" ] && [ -f "$program" ] || continue
        name=$(basename "$program" | sed 's/^fuzz_//')
        corpus=build/fuzz/corpus/$name
        mkdir -p "$corpus" tests/fuzz/corpus/"$name"
        check "fuzz $name, $fuzz_seconds s" "fuzz-$name" "$program" -max_total_time="$fuzz_seconds" \
            -seed="$fuzz_seed" -timeout=10 -rss_limit_mb=2048 -artifact_prefix="$logs/crash-$name-" \
            "$corpus" "tests/fuzz/corpus/$name"
    done
}

build_fuzz() {
    check "build fuzz" build-fuzz bash -c "
        cmake -S . -B build/fuzz -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
            -DCMAKE_C_COMPILER=clang -DSWAPSERVE_FUZZ=ON -DSWAPSERVE_CUDA=OFF \
            -DSWAPSERVE_SANITIZE=address,undefined &&
        cmake --build build/fuzz --target fuzz -j $jobs"
}

all() {
    release
    check "clang-format" clang-format check_format
    [ -f build/release/compile_commands.json ] && check "clang-tidy" clang-tidy check_tidy
    asan
    tsan
    fuzz
}

case ${1:-} in
'') phases=all ;;
--quick) phases=release ;;
*)
    echo "usage: tests/run.sh [--quick]" >&2
    exit 2
    ;;
esac
experiments/setup.sh --tests || {
    echo "0 passed, 1 failed"
    exit 1
}
mkdir -p "$logs"
"$phases"
[ "$failed" = 0 ] || printf 'failed: %s\n' "${failures[@]}"
echo "total time: $((SECONDS / 60)) min $((SECONDS % 60)) s"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
