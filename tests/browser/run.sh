#!/usr/bin/env bash
# Tests the console in Debian's Chromium. `run.sh screenshots` writes pictures to docs/images instead. Without Chromium and the permission to
# install it, or without playwright-core and a registry to get it from, it skips the tests with one line; in CI it fails.
set -euo pipefail
cd "$(dirname "$0")"
CARGO=${CARGO:-cargo}

find_chromium() { command -v chromium || command -v chromium-browser; }

if ! find_chromium > /dev/null && [ "$(id -u)" -eq 0 ] && command -v apt-get > /dev/null; then
    apt-get update -qq > /dev/null 2>&1 || true
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium > /dev/null 2>&1 || true
fi
skip() {
    if [ -n "${CI:-}" ]; then
        echo "browser: FAILED, $1" >&2
        exit 1
    fi
    echo "browser: SKIPPED, $1"
    exit 0
}

CHROMIUM=$(find_chromium) || skip "there is no chromium: apt-get install chromium"
export CHROMIUM
[ -d node_modules/playwright-core ] || npm ci --no-audit --no-fund --loglevel=silent ||
    skip "npm ci in tests/browser failed: it needs Node.js 20 and a registry"
# With the features of the whole workspace, which `cargo test` has built already: among them is the compiler of plugins.
"$CARGO" build --quiet --workspace --example browse
target=$("$CARGO" metadata --format-version 1 --no-deps | node -p 'JSON.parse(require("fs").readFileSync(0)).target_directory')
export CONSOLE_BIN="$target/debug/examples/browse"

if [ "${1:-}" = screenshots ]; then
    mkdir -p ../../docs/images
    node screenshots.js ../../docs/images
else
    node --test --test-reporter=spec
fi
