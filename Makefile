# The two commands that matter: `make demo` and `make test`. Both do all set-up.

CARGO ?= cargo

ARCH ?= arm64

.PHONY: bench-parts chaos lambda test-aws test-arm64 fuzz supply-chain demo test lint fmt docs bench wasm component plugins clean

# Faults by a seed, and books that must add up; then bugs that are planted, and must be found: `make chaos SEED=7 MINUTES=30`.
SEED ?= 1
MINUTES ?= 1
chaos:
	@tests/chaos/run.sh $(SEED) $(MINUTES)

# The demo needs nothing of AWS, whose SDK takes minutes to build.
demo: wasm
	$(CARGO) build -p towpath --no-default-features
	$(CARGO) run --quiet -p towpath --no-default-features -- plugin build plugins/approval plugins/github plugins/stripe
	$(CARGO) run --quiet -p towpath --no-default-features -- demo

test: plugins
	$(CARGO) build --quiet -p towpath-lambda -p towpath-lambda-ingest
	$(CARGO) test --workspace
	cd plugins && $(CARGO) test --quiet -p towpath-plugin
	$(CARGO) run --quiet -p towpath -- plugin test

# The plugins as components, and the target that they are built for.
plugins: wasm
	$(CARGO) build -p towpath
	$(CARGO) run --quiet -p towpath -- plugin build

wasm:
	@host/rust-target.sh

# cargo component, and the target that it builds for: for crates that ask for it.
component:
	@host/rust-target.sh wasm32-wasip2 wasm32-wasip1
	@$(CARGO) component --version || $(CARGO) install --locked cargo-component --version 0.21.1

# The two functions for Lambda, as zips in dist/: `make lambda ARCH=arm64` or `ARCH=x86_64`.
lambda:
	@host/lambda/package.sh $(ARCH)

# The Terraform module, and the functions against AWS's APIs as moto has them. Needs terraform; TF_PLUGIN_DIR names a
# filesystem mirror with the provider, for a machine that cannot download it.
test-aws: plugins
	@tests/aws/run.sh

# The zips for arm64, run once by qemu-user.
test-arm64: wasm
	@host/lambda/package.sh arm64
	@tests/aws/run.sh arm64

# Fuzzes all that comes from outside: `make fuzz SECONDS=300`.
SECONDS ?= 60
fuzz:
	@tests/fuzz/run.sh $(SECONDS)

# Licences, bans, duplicates and sources of every crate, crates that nobody uses, and advisories where their database
# can be reached.
supply-chain:
	@$(CARGO) deny --version > /dev/null 2>&1 || $(CARGO) install --locked cargo-deny --version 0.20.2
	@$(CARGO) machete --version > /dev/null 2>&1 || $(CARGO) install --locked cargo-machete --version 0.9.2
	$(CARGO) deny check licenses bans sources
	cd plugins && $(CARGO) deny --config ../deny.toml check licenses bans sources 2> /dev/null
	$(CARGO) machete
	@if $(CARGO) deny fetch db 2> /dev/null; then $(CARGO) deny check advisories; \
		else echo "advisories: NOT CHECKED, their database cannot be reached from here"; fi

fmt:
	$(CARGO) fmt --all
	cd plugins && $(CARGO) fmt --all

lint:
	$(CARGO) fmt --all --check
	cd plugins && $(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	cd plugins && $(CARGO) clippy --release --target wasm32-wasip2 -- -D warnings

docs:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps

# What a message costs, beside others: writes BENCHMARKS.md. Ten minutes, and some more for the build.
bench: wasm
	@tests/bench/run.sh

# Single parts, by criterion.
bench-parts:
	$(CARGO) bench --workspace

clean:
	$(CARGO) clean
	cd plugins && $(CARGO) clean
	rm -rf .towpath plugins/*/.towpath plugins/*/node_modules
