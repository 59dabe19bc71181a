#!/usr/bin/env bash
# Runs every test of the project and ends with one line for all of them. Called by `make test`.
set -euo pipefail
cd "$(dirname "$0")/.."
CARGO=${CARGO:-cargo}
log=$(mktemp)
step="preparing"

finish() {
    local rc=$?
    if [ "$rc" -eq 0 ]; then
        # `test result: ok. 62 passed; …` for each binary of Rust tests, `66 passed, 0 failed` for the plugins' cases.
        awk '/^test result:/ { rust += $4 } /^[0-9]+ passed, [0-9]+ failed/ { cases += $1 }
            END { printf "\nmake test: %d passed, 0 failed (%d tests in Rust, %d cases of plugins)\n", rust + cases, rust, cases }' "$log"
    else
        printf '\nmake test: FAILED while %s\n' "$step" >&2
    fi
    rm -f "$log"
    exit "$rc"
}
trap finish EXIT

run() {
    step=$1
    shift
    "$@" 2>&1 | tee -a "$log"
}

sdk() {
    # In a workspace of its own. The pipe of `run` is a subshell: the folder is left with it.
    cd plugins && "$CARGO" test --quiet -p towpath-plugin
}

if [ -t 1 ]; then export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-always}; fi
run "building the functions" "$CARGO" build --quiet -p towpath-lambda -p towpath-lambda-ingest
run "testing the host" "$CARGO" test --workspace
run "testing the plugin SDK" sdk
run "testing the console in a browser" tests/browser/run.sh
run "testing the plugins" "$CARGO" run --quiet -p towpath -- plugin test
