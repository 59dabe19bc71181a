#!/usr/bin/env bash
# Builds the two Lambda functions: dist/towpath-host-ARCH.zip and dist/towpath-ingest-ARCH.zip. Each zip contains `bootstrap`.
#
#   host/lambda/package.sh [arm64|x86_64]
#
# The functions use only CPU features that every machine of the architecture has, as precompiled plugins do. To build for another
# architecture you need a cross linker (Debian: gcc-aarch64-linux-gnu or gcc-x86-64-linux-gnu, installed with apt-get if possible)
# and std for it, which rust-target.sh installs in the same way as for plugins.
set -euo pipefail
cd "$(dirname "$0")/../.."

arch=${1:-arm64}
case $arch in
  arm64) target=aarch64-unknown-linux-gnu cpu=generic linker=aarch64-linux-gnu-gcc package=gcc-aarch64-linux-gnu ;;
  x86_64) target=x86_64-unknown-linux-gnu cpu=x86-64 linker=x86_64-linux-gnu-gcc package=gcc-x86-64-linux-gnu ;;
  *) echo "package: unknown ARCH $arch: use arm64 or x86_64" >&2; exit 2 ;;
esac
say() { echo "package: $*"; }

install() { # installs Debian packages
  say "installing $*"
  command -v apt-get > /dev/null && apt-get install -qq -y "$@" > /dev/null \
    || { apt-get update -qq && apt-get install -qq -y "$@" > /dev/null; } \
    || { echo "package: cannot install $*: install it by hand, then run this again" >&2; exit 1; }
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
# The runtime provided.al2023 has glibc 2.34.
newest=$(cat "$built/bootstrap" "$built/ingest" | grep -ao 'GLIBC_2\.[0-9]*' | sort -uV | tail -1)
if [ "$(printf '%s\nGLIBC_2.34\n' "$newest" | sort -V | tail -1)" != GLIBC_2.34 ]; then
  echo "package: the functions need $newest, but Lambda's provided.al2023 has GLIBC_2.34: build on Debian 12 or older" >&2
  exit 1
fi

mkdir -p dist
for pair in bootstrap:host ingest:ingest; do
  work=$(mktemp -d)
  cp "$built/${pair%:*}" "$work/bootstrap"
  # Make the zip reproducible: the same program gives the same zip, so an unchanged function is not deployed again.
  touch -d 2000-01-01T00:00:00Z "$work/bootstrap"
  zip_file=$PWD/dist/towpath-${pair#*:}-$arch.zip
  rm -f "$zip_file"
  (cd "$work" && TZ=UTC zip -q -X -9 "$zip_file" bootstrap)
  rm -rf "$work"
  say "$(du -h --apparent-size "dist/towpath-${pair#*:}-$arch.zip" | tr '\t' ' ')"
done
