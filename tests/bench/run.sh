#!/usr/bin/env bash
# Benchmarks the cost per message, and writes BENCHMARKS.md. Arguments are passed to `towpath bench`: run.sh --quick
set -euo pipefail
cd "$(dirname "$0")/../.."

target=${CARGO_TARGET_DIR:-target}
# Build both as they are deployed: the command as `cargo install` does, the function as for Lambda.
cargo build --quiet --release -p towpath
triple=$(rustc -vV | sed -n 's/^host: //p')
cargo build --quiet --profile lambda --target "$triple" -p towpath-lambda
"$target/release/towpath" bench --bootstrap "$target/$triple/lambda/bootstrap" --python tests/baseline/runtime.py \
    --markdown BENCHMARKS.md --html "$target/bench.html" "$@"
echo "wrote BENCHMARKS.md, and charts in $target/bench.html" >&2
