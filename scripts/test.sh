#!/usr/bin/env bash
# Every check and test, in the order of their cost. Stops at the first that fails.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n\033[1m== %s (%ss)\033[0m\n' "$*" "$SECONDS" >&2; }

step "format"
cargo fmt --all --check

step "arrows, purity, sizes, links, licences"
cargo xtask all

step "console: lint, types, unit tests, build"
(cd web && npm run --silent lint && npm run --silent test && npm run --silent build)

step "clippy"
cargo clippy --workspace --all-targets --locked -- -D warnings

# The system tests start both programs; `cargo test` builds only those that a test of the same package needs.
step "programs"
cargo build --workspace --bins --locked

step "unit and integration tests"
cargo test --workspace --locked

step "OpenAPI snapshot"
cargo run --quiet --locked --package vms-api --example openapi | diff - web/openapi.json \
    || { echo "web/openapi.json is stale: cargo run -p vms-api --example openapi > web/openapi.json" >&2; exit 1; }

step "console in the program, linked libraries"
scripts/build.sh dev
cargo xtask ldd target/debug/belfry

step "whole system: recording, roles killed, PostgreSQL, browser"
scripts/e2e.sh target/debug

step "all passed"
