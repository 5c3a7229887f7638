#!/usr/bin/env bash
# Runs every fuzz target for some seconds each, one after the other; ends with 1 when one of them crashed.
# Usage: scripts/fuzz.sh [SECONDS] [TARGET…]     needs: cargo install cargo-fuzz --locked
# Crashing inputs are left in fuzz/artifacts/TARGET; a corpus grows in fuzz/corpus/TARGET (neither is committed).
set -euo pipefail
cd "$(dirname "$0")/../fuzz"
seconds=${1:-60}
[ $# -gt 0 ] && shift
command -v cargo-fuzz >/dev/null || { echo "missing: cargo-fuzz; run: cargo install cargo-fuzz --locked" >&2; exit 1; }
# The pinned toolchain is stable; cargo-fuzz asks for flags that stable keeps behind this switch.
export RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
sanitizer=${SANITIZER:-none}
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(cargo fuzz list)
cargo fuzz build --sanitizer "$sanitizer"
failed=()
for target in "${targets[@]}"; do
    echo "== $target, $seconds s"
    mkdir -p "corpus/$target"
    # The first seeds are the files that the tests of the same parser use, where there are any.
    cargo fuzz run --sanitizer "$sanitizer" "$target" -- -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -max_len=16384 \
        -print_final_stats=1 >"corpus/$target.log" 2>&1 || failed+=("$target")
    grep -E "^Done|^SUMMARY|panicked|stat::number_of_executed|stat::peak_rss" "corpus/$target.log" || true
done
[ ${#failed[@]} -eq 0 ] || { echo "crashed: ${failed[*]}" >&2; exit 1; }
echo "${#targets[@]} targets, no crash"
