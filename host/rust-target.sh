#!/usr/bin/env bash
# Makes sure that the active Rust toolchain can build for the given targets (default: wasm32-wasip2): those of plugins
# (wasm32-wasip1, -wasip2) and those of Lambda (x86_64-, aarch64-unknown-linux-gnu, whose cross linker must be installed).
#
#   host/rust-target.sh [TARGET…]
#
# 1. If a program links, there is nothing to do.
# 2. Otherwise it runs `rustup target add`.
# 3. If rustup cannot reach its server, it builds std from the distribution's rust-src of exactly rustc's version, with the
#    distribution's wasi-libc. This needs apt-get, cargo with a reachable crate registry and about 1 GiB of temporary disk,
#    takes two minutes on 2 cores, and installs no package.
#
# Environment: WASM_SUITE, the Debian suite to take rust-src from (default trixie-backports);
#              WASM_SKIP_RUSTUP=1 skips step 2.
set -euo pipefail

wanted=("${@:-wasm32-wasip2}")
suite=${WASM_SUITE:-trixie-backports}
version=$(rustc --version | awk '{print $2}')
sysroot=$(rustc --print sysroot)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
say() { echo "rust-target: $*"; }

usable() { # links a real program, which needs std, the C runtime and the linker
  echo 'fn main() { println!("{}", std::env::args().count()); }' > "$work/p.rs"
  local linker=()
  case $1 in
    "$(rustc --print host-tuple)" | wasm*) ;;
    *-unknown-linux-gnu) linker=("-Clinker=${1%%-*}-linux-gnu-gcc") ;;
  esac
  rustc --edition 2021 --target "$1" "${linker[@]}" -o "$work/p.wasm" "$work/p.rs" > /dev/null 2>&1
}

lacking() { # sets targets to the wanted targets that cannot be built for
  targets=()
  for target in "${wanted[@]}"; do usable "$target" || targets+=("$target"); done
}

lacking
if [ ${#targets[@]} = 0 ]; then exit 0; fi
say "rustc $version lacks ${targets[*]}"

if [ -z "${WASM_SKIP_RUSTUP:-}" ] && command -v rustup > /dev/null; then
  say "adding ${targets[*]} with rustup"
  timeout 30 rustup target add "${targets[@]}" > "$work/rustup.log" 2>&1 || true
  lacking
  if [ ${#targets[@]} = 0 ]; then
    say "done"
    exit 0
  fi
  say "rustup failed; building std from the distribution's rust-src instead"
fi

if ! command -v apt-get > /dev/null; then
  say "cannot continue without apt-get: install ${targets[*]} for rustc $version by hand, then run this again" >&2
  exit 1
fi

# Take the mirror and its key from the machine's own apt configuration.
src=/etc/apt/sources.list.d/debian.sources
if [ -f "$src" ]; then
  uri=$(awk '/^URIs:/{print $2; exit}' "$src")
  key=$(awk '/^Signed-By:/{print $2; exit}' "$src")
else
  uri=$(awk '$1=="deb"{for(i=2;i<=NF;i++) if($i~/:\/\//){print $i; exit}}' /etc/apt/sources.list)
fi
[ -n "${uri:-}" ] || { say "no mirror found in the apt configuration" >&2; exit 1; }
mkdir -p "$work"/{lists/partial,cache/archives/partial,deb}
echo "deb [signed-by=${key:-/usr/share/keyrings/debian-archive-keyring.gpg}] $uri $suite main" > "$work/suite.list"
apt=(apt-get -qq -o Dir::Etc::SourceList="$work/suite.list" -o Dir::Etc::SourceParts=/dev/null
     -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User=
     -o APT::Update::Post-Invoke-Success::= -o Acquire::Languages=none)
say "fetching rust-src $version and wasi-libc from $suite"
"${apt[@]}" update
(cd "$work/deb" && "${apt[@]}" download "rust-src=$version*" wasi-libc)
for deb in "$work"/deb/*.deb; do dpkg-deb -x "$deb" "$work/root"; done
library=$(echo "$work"/root/usr/src/rustc-"$version"/library)
[ -f "$library/sysroot/Cargo.toml" ] || { say "rust-src does not contain $library" >&2; exit 1; }

say "building std for ${targets[*]} (a minute or two each)"
# std is also built as a shared library, so it needs the cross linker.
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
(cd "$library" && RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="$work/target" \
  CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1 CARGO_PROFILE_RELEASE_OPT_LEVEL=s RUSTFLAGS='-Zforce-unstable-if-unmarked -Cembed-bitcode=yes' \
  cargo build --quiet --release "${targets[@]/#/--target=}" --manifest-path sysroot/Cargo.toml \
    --features 'panic-unwind,compiler-builtins-mem') > "$work/build.log" 2>&1 \
  || { cat "$work/build.log" >&2; say "std did not build" >&2; exit 1; }
for target in "${targets[@]}"; do
  lib=$sysroot/lib/rustlib/$target/lib
  rm -rf "$lib.new"
  mkdir -p "$lib.new/self-contained"
  cp "$work/target/$target"/release/deps/*.rlib "$lib.new/"
  case $target in wasm*)
    for file in crt1-command.o crt1-reactor.o libc.a; do
      cp "$work/root/usr/lib/$target/$file" "$lib.new/self-contained/"
    done ;;
  esac
  # Marks this std: Debian's wasi-libc adds printf, 9 KiB, to every program, which matters when component sizes are measured.
  touch "$lib.new/built-here"
  rm -rf "$lib"
  mv "$lib.new" "$lib"
  usable "$target" || { say "$target still does not link" >&2; exit 1; }
  say "done; if crates were built for it against another std, run: cargo clean --target $target"
done
