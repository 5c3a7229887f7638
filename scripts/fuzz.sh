#!/usr/bin/env bash
# Runs every fuzz target for some seconds each, one after the other, and prints a table; ends with 1 when one of them crashed.
# Usage: scripts/fuzz.sh [SECONDS] [TARGET…]     needs: cargo install cargo-fuzz --locked
# Seeds are fuzz/seeds/TARGET and the repository's own files. Crashing inputs are left in fuzz/artifacts/TARGET; a corpus grows in
# fuzz/corpus/TARGET (neither is committed): what was found becomes a case of the parser's own test.
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
[ "${FUZZ_BUILT:-no}" = yes ] || cargo fuzz build --sanitizer "$sanitizer"
programs="$CARGO_TARGET_DIR/$(rustc -vV | sed -n 's/^host: //p')/release"

# The repository's own files that a target reads.
own_seeds() {
    case "$1" in
        config_toml) ls ../deploy/belfry.toml ;;
        lez_tables) ls ../seed/lez/* ;;
        zbt_tables) ls ../seed/zbt/* ;;
        trajectory_tables) ls ../seed/trajectory/* ;;
        model_card) ls ../models/*/card.toml ;;
        plate_formats) ls ../crates/anpr/src/formats.toml ;;
        plate_grammar) ls ../seed/plates.toml ;;
        nal | parameter_sets | film | depacketize) ls ../crates/media/testdata/* ;;
    esac
}
# One of libFuzzer's closing figures.
figure() { sed -n "s/^stat::$2: *//p" "corpus/$1.log" | tail -n 1; }

failed=()
printf '%-18s %12s %10s %8s %8s  %s\n' target executions per_s corpus MiB result
for target in "${targets[@]}"; do
    mkdir -p "corpus/$target" "artifacts/$target"
    mapfile -t seeds < <(own_seeds "$target")
    [ ${#seeds[@]} -eq 0 ] || cp --update "${seeds[@]}" "corpus/$target/"
    folders=("corpus/$target")
    [ -d "seeds/$target" ] && folders+=("seeds/$target")
    result=ok
    "$programs/$target" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=30 -max_len=16384 -print_final_stats=1 \
        -artifact_prefix="artifacts/$target/" "${folders[@]}" >"corpus/$target.log" 2>&1 || result=CRASHED
    if [ "$result" = CRASHED ]; then
        failed+=("$target")
        result="CRASHED: $(grep -m 1 -E 'panicked|SUMMARY|ERROR' "corpus/$target.log" || true)"
    fi
    printf '%-18s %12s %10s %8s %8s  %s\n' "$target" "$(figure "$target" number_of_executed_units)" "$(figure "$target" average_exec_per_sec)" \
        "$(find "corpus/$target" -type f | wc -l)" "$(figure "$target" peak_rss_mb)" "$result"
done
[ ${#failed[@]} -eq 0 ] || { echo "crashed: ${failed[*]}" >&2; exit 1; }
echo "${#targets[@]} targets, no crash"
