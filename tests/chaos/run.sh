#!/usr/bin/env bash
# Runs `towpath chaos` with a build whose clocks can be moved: run.sh SEED MINUTES. Then it tests the chaos run itself: with each
# planted bug, the run must find the violation that the bug causes.
set -euo pipefail
cd "$(dirname "$0")/../.."
seed=${1:-1} minutes=${2:-1}

target=${CARGO_TARGET_DIR:-target}
cargo build --quiet -p towpath --features faults
# Keep a copy: the next build without the feature overwrites the binary.
cp "$target/debug/towpath" "$target/debug/towpath-faults"
towpath=$target/debug/towpath-faults
# Both in one build, as for the tests.
cargo build --quiet -p towpath-lambda -p towpath-lambda-ingest

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$towpath" chaos --seed "$seed" --minutes "$minutes" --bootstrap "$target/debug/bootstrap"

# The faults of one seed may miss a bug by chance, so each bug gets six seeds.
planted() {
    local bug=$1 violation=$2 minutes=$3 groups=$4 try found
    for try in 0 1 2 3 4 5; do
        found=$("$towpath" chaos --seed "$((seed + try))" --minutes "$minutes" --groups "$groups" --planted "$bug" \
            --folder "$work/$bug-$try" --json 2> /dev/null) && continue
        count=$(grep -c "\"$violation\"" <<< "$found") || {
            echo "chaos: the planted bug $bug was found, but not as $violation" >&2
            exit 1
        }
        echo "planted bug $bug: found, $count times $violation"
        return
    done
    echo "chaos: the planted bug $bug was not found" >&2
    exit 1
}
planted ack-before-delivery lost 0.2 500
planted release-head-first out-of-order 0.2 500
# This bug shows when the queue's answer arrives after another host has received the same messages. Few groups make it likely that
# the other host has already moved on.
planted lease-from-answer out-of-order 0.5 50
