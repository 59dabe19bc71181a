#!/usr/bin/env bash
# Faults by a seed, over a build whose clocks can be moved: run.sh SEED MINUTES. Then the run is tried itself: with a bug that is
# planted it must find what the bug does, each time.
set -euo pipefail
cd "$(dirname "$0")/../.."
seed=${1:-1} minutes=${2:-1}

target=${CARGO_TARGET_DIR:-target}
cargo build --quiet -p towpath --features faults
# The next build without the feature puts its own binary in this place.
cp "$target/debug/towpath" "$target/debug/towpath-faults"
towpath=$target/debug/towpath-faults
# Together, as for the tests.
cargo build --quiet -p towpath-lambda -p towpath-lambda-ingest

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$towpath" chaos --seed "$seed" --minutes "$minutes" --bootstrap "$target/debug/bootstrap"

# A fault may miss the bug by chance, so a bug has six seeds to show itself.
planted() {
    local bug=$1 violation=$2 minutes=$3 groups=$4 try found
    for try in 0 1 2 3 4 5; do
        found=$("$towpath" chaos --seed "$((seed + try))" --minutes "$minutes" --groups "$groups" --planted "$bug" \
            --folder "$work/$bug-$try" --json 2> /dev/null) && continue
        count=$(grep -c "\"$violation\"" <<< "$found") || {
            echo "chaos: the planted bug $bug was found, but not as $violation" >&2
            exit 1
        }
        echo "planted $bug: found, $count times $violation"
        return
    done
    echo "chaos: the planted bug $bug was not found" >&2
    exit 1
}
planted ack-before-delivery lost 0.2 500
planted release-head-first out-of-order 0.2 500
# Answers of the queue come when the messages in them are other hosts' already: few groups, so that these have gone on meanwhile.
planted lease-from-answer out-of-order 0.5 50
