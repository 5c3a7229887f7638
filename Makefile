# Two commands: `make demo` and `make test`. Both install what is missing, and both may be run again at any time.
SHELL := /bin/bash
.DEFAULT_GOAL := help

.PHONY: help demo test setup build web lint check deny bench train fmt clean-demo

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

demo: ## set up, build in release mode, and start Belfry with a simulated town
	@scripts/setup.sh demo
	@scripts/build.sh release
	@exec target/release/belfry demo --dir .demo

test: ## set up, and pass every check and test
	@scripts/setup.sh test
	@scripts/test.sh

setup: ## install everything that is missing
	@scripts/setup.sh test

build: ## build the programs and the console in release mode
	@scripts/setup.sh demo
	@scripts/build.sh release

fmt: ## format
	cargo fmt --all
	cd web && npx prettier --write --log-level warn src e2e scripts

check: ## the quick checks: arrows, purity, sizes, links, licences, clippy
	cargo xtask all
	cargo clippy --workspace --all-targets --locked -- -D warnings

# Optimised little: it runs for seconds, and is built in three minutes on two cores.
deny: ## licences, bans and sources with cargo-deny (builds it once)
	@test -x target/tools/bin/cargo-deny || CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off \
		cargo install --locked --root target/tools --version 0.20.2 cargo-deny
	target/tools/bin/cargo-deny check licenses bans sources

bench: ## hot functions, and the hammer with its figures
	scripts/bench.sh

train: ## train the plate models anew (hours)
	training/train.sh

clean-demo: ## forget the demo's footage, accounts and keys
	rm -rf .demo
