#!/usr/bin/env bash
# Tests that need AWS's own tools, against moto's server on this machine.
#
#   tests/aws/run.sh          the Terraform module with its real provider, and the built functions over the Lambda Runtime API
#   tests/aws/run.sh arm64    the arm64 zips in dist/, run with qemu-user
set -euo pipefail
cd "$(dirname "$0")/../.."
built=${CARGO_TARGET_DIR:-target}/debug
work=$(mktemp -d)
# The process that tests the module, while it runs.
module=
finish() {
  [ -z "$module" ] || pkill -P "$module" || true
  wait
  rm -rf "$work"
}
trap finish EXIT

if [ "${1:-}" = arm64 ]; then
  command -v qemu-aarch64-static > /dev/null || {
    echo "test-arm64: installing qemu-user-static"
    apt-get update -qq && apt-get install -qq -y qemu-user-static > /dev/null
  }
  cargo build --quiet -p towpath
  tests=(tests/aws/arm64.py)
else
  command -v terraform > /dev/null || { echo "test-aws: terraform not found: install 1.11 or later" >&2; exit 1; }
  mirror=(${TF_PLUGIN_DIR:+"-plugin-dir=$TF_PLUGIN_DIR"})
  export TF_CLI_CONFIG_FILE=/dev/null TF_IN_AUTOMATION=1 CHECKPOINT_DISABLE=1

  echo "== terraform fmt, validate and test"
  terraform fmt -check -recursive -diff terraform tests/aws_smoke
  cp -r terraform "$work/terraform"
  mkdir -p "$work/tests/aws_smoke"
  cp -r tests/aws_smoke/example "$work/tests/aws_smoke"
  find "$work" -name '.terraform*' -prune -exec rm -rf {} +
  for folder in . examples/complete examples/existing-api examples/vpc examples/poll-on-ecs ../tests/aws_smoke/example; do
    terraform -chdir="$work/terraform/$folder" init -input=false -no-color "${mirror[@]}" > "$work/init.log" \
      || { cat "$work/init.log"; exit 1; }
    terraform -chdir="$work/terraform/$folder" validate -no-color
  done
  # At the same time as the other tests, which mostly wait for queues to settle.
  (
    terraform -chdir="$work/terraform" test -no-color
    terraform -chdir="$work/terraform/examples/poll-on-ecs" test -no-color
  ) > "$work/terraform.log" 2>&1 &
  module=$!

  echo "== functions"
  cargo build --quiet -p towpath
  # A separate build: together with the command line, feature unification would link the compiler into the functions.
  cargo build --quiet -p towpath-lambda -p towpath-lambda-ingest
  tests=(tests/aws)
fi
export TOWPATH_BIN=$built/towpath TOWPATH_BOOTSTRAP=$built/bootstrap TOWPATH_INGEST=$built/ingest

# The virtual environment is in cargo's target folder. It is made again only if requirements.txt changes.
venv=${CARGO_TARGET_DIR:-$PWD/target}/aws-tests
if ! cmp -s tests/aws/requirements.txt "$venv/requirements.txt"; then
  echo "== python packages"
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r tests/aws/requirements.txt
  cp tests/aws/requirements.txt "$venv/requirements.txt"
fi
echo "== moto"
failed=0
PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" -m pytest -q -p no:cacheprovider "${tests[@]}" || failed=$?

if [ -n "$module" ]; then
  echo "== terraform test"
  wait "$module" || failed=$?
  module=
  cat "$work/terraform.log"
fi
exit "$failed"
