#!/usr/bin/env bash
# Measures what a message costs, and writes BENCHMARKS.md. Arguments go to `towpath bench`: run.sh --quick
set -euo pipefail
cd "$(dirname "$0")/../.."

target=${CARGO_TARGET_DIR:-target}
# Both as they are installed: the command as by `cargo install`, the function as on Lambda.
cargo build --quiet --release -p towpath
triple=$(rustc -vV | sed -n 's/^host: //p')
cargo build --quiet --profile lambda --target "$triple" -p towpath-lambda
"$target/release/towpath" bench --bootstrap "$target/$triple/lambda/bootstrap" --python tests/baseline/runtime.py \
    --markdown BENCHMARKS.md --html "$target/bench.html" "$@"
echo "BENCHMARKS.md is written, bars are in $target/bench.html" >&2
