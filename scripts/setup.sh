#!/usr/bin/env bash
# Installs what Belfry needs on Debian 12 or 13, as root or as a user with sudo. Safe to run again: what is there is left alone.
# Usage: scripts/setup.sh demo|test
set -euo pipefail
cd "$(dirname "$0")/.."
goal=${1:-test}

step() { printf '\033[1m== %s\033[0m\n' "$*" >&2; }
# A registry that does not answer now may do so in a while: three tries in all.
again() {
    for pause in 5 20; do
        "$@" && return 0
        echo "failed: $*; once more in $pause s" >&2
        sleep "$pause"
    done
    "$@"
}
npm_packages() { (cd web && npm ci --no-audit --no-fund --loglevel=error); }
# Into a folder of its own, hashes pinned; the copied list says last that the folder is whole.
moto_packages() {
    rm -rf .venv-moto
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps --only-binary=:all: --require-hashes \
        --requirement scripts/moto-requirements.txt --target .venv-moto
    cp scripts/moto-requirements.txt .venv-moto/requirements.txt
}
need() { printf 'missing: %s\n  %s\n' "$1" "$2" >&2; exit 1; }

command -v cargo >/dev/null || need "Rust (cargo)" "install it from https://rustup.rs, then run this again"
command -v node >/dev/null || need "Node.js 20 or newer" "install it from https://nodejs.org, then run this again"
command -v npm >/dev/null || need "npm" "it comes with Node.js; install it, then run this again"
node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)' || need "Node.js 20 or newer" "this is $(node --version)"
command -v apt-get >/dev/null || need "Debian 12 or 13" "this script installs Debian packages; on another system install those of scripts/packages.txt by hand"

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else need "sudo" "run as root, or install sudo and give yourself the right to use it"; fi
}

wanted=$(awk -v goal="$goal" '!/^#/ && NF && ($2 == "all" || $2 == goal || (goal == "test" && $2 != "drills")) {print $1}' scripts/packages.txt)
absent=()
for package in $wanted; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || absent+=("$package")
done
if [ ${#absent[@]} -gt 0 ]; then
    step "Debian packages: ${absent[*]}"
    as_root apt-get -o Acquire::Retries=3 update -qq
    again as_root env DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=3 install -y -qq --no-install-recommends "${absent[@]}" >&2
fi

step "ONNX Runtime"
again scripts/fetch-onnxruntime.sh

step "crates"
again cargo fetch --locked --quiet

if [ ! -f web/node_modules/.package-lock.json ] || [ web/package-lock.json -nt web/node_modules/.package-lock.json ]; then
    step "npm packages"
    again npm_packages
    touch web/node_modules/.package-lock.json
fi

if [ "$goal" = test ] && ! cmp -s scripts/moto-requirements.txt .venv-moto/requirements.txt; then
    step "moto, an S3 server for the tests"
    again moto_packages
fi

step "films for the simulated cameras"
scripts/make-films.sh
