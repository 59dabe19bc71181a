# Start with `make demo` or `make test`. Both set up everything they need.

CARGO ?= cargo

ARCH ?= arm64

.PHONY: bench-parts chaos lambda test-aws test-arm64 aws-smoke fuzz supply-chain demo test browser screenshots lint fmt docs bench wasm component plugins clean

# Inject faults derived from a seed and check the target's record; then plant bugs, which must be found:
# `make chaos SEED=7 MINUTES=30`.
SEED ?= 1
MINUTES ?= 1
chaos:
	@tests/chaos/run.sh $(SEED) $(MINUTES)

# Without the AWS feature: the demo does not need the AWS SDK, which takes minutes to build. With a profile that does not optimise.
DEMO = -p towpath --no-default-features --profile demo
demo: wasm
	$(CARGO) build $(DEMO)
	$(CARGO) run --quiet $(DEMO) -- plugin build plugins/approval plugins/github plugins/stripe
	$(CARGO) run --quiet $(DEMO) -- demo

test: plugins
	@CARGO="$(CARGO)" tests/run.sh

# Build the plugins as components, and install their compiler target.
plugins: wasm
	$(CARGO) build -p towpath
	$(CARGO) run --quiet -p towpath -- plugin build

# Test the console in Debian's Chromium, driven by playwright-core. Needs Node.js; installs Chromium with apt-get if it is missing and permitted.
browser:
	@CARGO="$(CARGO)" tests/browser/run.sh

# Write pictures of the console to docs/images.
screenshots:
	@CARGO="$(CARGO)" tests/browser/run.sh screenshots

wasm:
	@host/rust-target.sh

# Install cargo component and its compiler targets, for crates that are built with it.
component:
	@host/rust-target.sh wasm32-wasip2 wasm32-wasip1
	@$(CARGO) component --version || $(CARGO) install --locked cargo-component --version 0.21.1

# Build the two Lambda functions as zips in dist/: `make lambda ARCH=arm64` or `ARCH=x86_64`.
lambda:
	@host/lambda/package.sh $(ARCH)

# Test the Terraform module, and the functions against moto's mock of the AWS APIs. Needs terraform. On a machine that cannot download
# the provider, set TF_PLUGIN_DIR to a filesystem mirror that has it.
test-aws: plugins
	@tests/aws/run.sh

# Build the arm64 zips and run them once with qemu-user.
test-arm64: wasm
	@host/lambda/package.sh arm64
	@tests/aws/run.sh arm64

# Deploy into an AWS account, try what only AWS can show, and destroy everything again. Costs well below 1 USD. Needs terraform, the zips of
# `make lambda`, a built towpath, the plugins, and AWS_SMOKE_ACCOUNT. `make aws-smoke SMOKE=--help` says more; SMOKE=--local needs no AWS.
SMOKE ?=
aws-smoke:
	@tests/aws_smoke/run.sh $(SMOKE)

# Fuzz every parser of outside input, SECONDS for each target: `make fuzz SECONDS=300`.
SECONDS ?= 60
fuzz:
	@tests/fuzz/run.sh $(SECONDS)

# Check licences, bans, duplicates and sources of every crate, look for unused crates, and check advisories if their database can be
# reached.
supply-chain:
	@$(CARGO) deny --version > /dev/null 2>&1 || $(CARGO) install --locked cargo-deny --version 0.20.2
	@$(CARGO) machete --version > /dev/null 2>&1 || $(CARGO) install --locked cargo-machete --version 0.9.2
	$(CARGO) deny check licenses bans sources
	cd plugins && $(CARGO) deny --config ../deny.toml check licenses bans sources 2> /dev/null
	$(CARGO) machete
	@if $(CARGO) deny fetch db 2> /dev/null; then $(CARGO) deny check advisories; \
		else echo "advisories: NOT CHECKED, the advisory database cannot be reached"; fi

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

# Benchmark the cost per message against alternatives and the theoretical limit, and write BENCHMARKS.md. Takes ten minutes plus the build.
bench: wasm
	@tests/bench/run.sh

# Benchmark single parts with criterion.
bench-parts:
	$(CARGO) bench --workspace

clean:
	$(CARGO) clean
	cd plugins && $(CARGO) clean
	rm -rf .towpath plugins/*/.towpath plugins/*/node_modules
