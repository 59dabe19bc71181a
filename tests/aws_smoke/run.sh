#!/usr/bin/env bash
# What `make aws-smoke` runs: the virtual environment of tests/aws, then the program with the given arguments.
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=${CARGO_TARGET_DIR:-$PWD/target}/aws-tests
if ! cmp -s tests/aws/requirements.txt "$venv/requirements.txt"; then
  echo "== python packages" >&2
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r tests/aws/requirements.txt
  cp tests/aws/requirements.txt "$venv/requirements.txt"
fi
PYTHONDONTWRITEBYTECODE=1 exec "$venv/bin/python" tests/aws_smoke "$@"
