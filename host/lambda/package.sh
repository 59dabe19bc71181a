#!/usr/bin/env bash
# Builds the two functions for Lambda: dist/towpath-host-ARCH.zip and dist/towpath-ingest-ARCH.zip, each with `bootstrap` in it.
#
#   host/lambda/package.sh [arm64|x86_64]
#
# The CPU features are those that every machine of the architecture has, the same that precompiled plugins are made for. Another
# architecture needs a cross linker (Debian: gcc-aarch64-linux-gnu or gcc-x86-64-linux-gnu, installed if apt-get can) and std for
# it, which rust-target.sh brings by the same means as for plugins.
set -euo pipefail
cd "$(dirname "$0")/../.."

arch=${1:-arm64}
case $arch in
  arm64) target=aarch64-unknown-linux-gnu cpu=generic linker=aarch64-linux-gnu-gcc package=gcc-aarch64-linux-gnu ;;
  x86_64) target=x86_64-unknown-linux-gnu cpu=x86-64 linker=x86_64-linux-gnu-gcc package=gcc-x86-64-linux-gnu ;;
  *) echo "package: ARCH is arm64 or x86_64, not $arch" >&2; exit 2 ;;
esac
say() { echo "package: $*"; }

install() { # the Debian packages that bring these commands
  say "installing $*"
  command -v apt-get > /dev/null && apt-get install -qq -y "$@" > /dev/null \
    || { apt-get update -qq && apt-get install -qq -y "$@" > /dev/null; } \
    || { echo "package: install $* by hand, then run this again" >&2; exit 1; }
}

command -v zip > /dev/null || install zip
if [ "$(rustc --print host-tuple)" != "$target" ]; then
  command -v "$linker" > /dev/null || install "$package"
  host/rust-target.sh "$target"
  upper=${target^^}
  export "CARGO_TARGET_${upper//-/_}_LINKER=$linker"
fi

say "building for $target"
RUSTFLAGS="-C target-cpu=$cpu" cargo build --quiet --profile lambda --target "$target" -p towpath-lambda -p towpath-lambda-ingest

built=${CARGO_TARGET_DIR:-target}/$target/lambda
# provided.al2023 has glibc 2.34.
newest=$(cat "$built/bootstrap" "$built/ingest" | grep -ao 'GLIBC_2\.[0-9]*' | sort -uV | tail -1)
if [ "$(printf '%s\nGLIBC_2.34\n' "$newest" | sort -V | tail -1)" != GLIBC_2.34 ]; then
  echo "package: the functions need $newest, Lambda's provided.al2023 has GLIBC_2.34: build on Debian 12 or older" >&2
  exit 1
fi

mkdir -p dist
for pair in bootstrap:host ingest:ingest; do
  work=$(mktemp -d)
  cp "$built/${pair%:*}" "$work/bootstrap"
  # The same program gives the same zip, so that a deployment that changes nothing changes nothing.
  touch -d 2000-01-01T00:00:00Z "$work/bootstrap"
  zip_file=$PWD/dist/towpath-${pair#*:}-$arch.zip
  rm -f "$zip_file"
  (cd "$work" && TZ=UTC zip -q -X -9 "$zip_file" bootstrap)
  rm -rf "$work"
  say "$(du -h --apparent-size "dist/towpath-${pair#*:}-$arch.zip" | tr '\t' ' ')"
done
