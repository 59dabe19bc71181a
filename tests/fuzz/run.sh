#!/usr/bin/env bash
# Fuzzes each target for SECONDS, with one target per core at a time: tests/fuzz/run.sh SECONDS [TARGET…]
# Findings are saved in tests/fuzz/artifacts, and printed with the command that reproduces them.
set -euo pipefail
cd "$(dirname "$0")/../.."

seconds=${1:?usage: tests/fuzz/run.sh SECONDS [TARGET...]}
shift
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}/fuzz"
cargo fuzz --version > /dev/null 2>&1 || cargo install --locked cargo-fuzz --version 0.13.1

# No sanitizer, so the project's stable toolchain works. The fuzzed code is safe Rust, which panics on errors.
export options="--fuzz-dir tests/fuzz --sanitizer none"
# shellcheck disable=SC2086 # $options must be split into words
cargo fuzz build $options
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(cargo fuzz list --fuzz-dir tests/fuzz)

fuzz() {
    local target=$1 found new log
    new=$(mktemp -d) log=$(mktemp)
    # New inputs go to a temporary folder, so the corpus in the repository stays small.
    if cargo fuzz run $options "$target" "$new" "tests/fuzz/corpus/$target" -- \
        -max_total_time="$seconds" -max_len=16384 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 > "$log" 2>&1; then
        found=ok
    else
        found=FAILED
        tail -n 40 "$log"
    fi
    echo "$target: $found, $(grep -o 'number_of_executed_units: *[0-9]*' "$log" | grep -o '[0-9]*$' || echo 0) runs in $seconds s"
    [ -z "${KEEP_CORPUS:-}" ] || cp -n "$new"/* "tests/fuzz/corpus/$target/" 2> /dev/null || true
    rm -rf "$new" "$log"
    [ $found = ok ]
}
export -f fuzz
export seconds
printf '%s\n' "${targets[@]}" | xargs -P "$(nproc)" -I TARGET bash -c 'set -euo pipefail; fuzz TARGET'
