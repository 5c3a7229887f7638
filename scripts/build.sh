#!/usr/bin/env bash
# Builds the programs (Belfry's two, and the commission's witness) and the console. Usage: scripts/build.sh release|dev
set -euo pipefail
cd "$(dirname "$0")/.."
profile=${1:-release}

step() { printf '\033[1m== %s\033[0m\n' "$*" >&2; }

newest_source=$(find web/src web/public web/index.html web/package-lock.json -type f -newer web/dist/index.html 2>/dev/null | head -n 1 || true)
if [ ! -f web/dist/index.html ] || [ -n "$newest_source" ]; then
    step "console"
    (cd web && npm run --silent build)
fi

step "programs ($profile)"
if [ "$profile" = release ]; then
    cargo build --release --locked --package belfry --package belfry-media --package witness
else
    cargo build --locked --package belfry --package belfry-media --package witness
fi
