#!/usr/bin/env bash
# Fuzzes every target for so many seconds, as many at a time as there are cores: tests/fuzz/run.sh SECONDS [TARGET…]
# A finding is left in tests/fuzz/artifacts, and said with the command that runs it again.
set -euo pipefail
cd "$(dirname "$0")/../.."

seconds=${1:?usage: tests/fuzz/run.sh SECONDS [TARGET...]}
shift
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}/fuzz"
cargo fuzz --version > /dev/null 2>&1 || cargo install --locked cargo-fuzz --version 0.13.1

# Without a sanitizer the toolchain of the project does: what is fuzzed is safe Rust, which panics where it is wrong.
export options="--fuzz-dir tests/fuzz --sanitizer none"
# shellcheck disable=SC2086 # these are several words
cargo fuzz build $options
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(cargo fuzz list --fuzz-dir tests/fuzz)

fuzz() {
    local target=$1 found new log
    new=$(mktemp -d) log=$(mktemp)
    # What is new goes elsewhere: the corpus in the repository stays small.
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
