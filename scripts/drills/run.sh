#!/usr/bin/env bash
# The drills of docs/design/drills.md, one after the other, with the seeds that stand there. Needs root (mounts), a release build and
# the packages of `scripts/setup.sh drills`. About three hours; COUNT=n makes each drill n outages long.
# Usage: scripts/drills/run.sh [kills|cuts|refused|stalls|reconnect|tiers|raid|keys|bench]…
set -euo pipefail
cd "$(dirname "$0")/../.."
hammer=(nice target/release/hammer --programs target/release)
small=(--film target/films/sub-360p.mp4)
gop5=target/films/gop5-360p.mp4
what=("$@")
[ ${#what[@]} -gt 0 ] || what=(kills cuts refused stalls reconnect tiers raid keys bench)
failed=()
drill() {
    echo "== $*"
    "$@" || failed+=("$*")
}

for one in "${what[@]}"; do
    case "$one" in
        kills)
            drill "${hammer[@]}" kills --role recorder --count "${COUNT:-200}" --cameras 5 --seed 20261122
            drill "${hammer[@]}" kills --role serve --count "${COUNT:-50}" --cameras 3 --seed 20261123
            drill "${hammer[@]}" kills --role gateway --count "${COUNT:-50}" --cameras 3 --seed 20261124
            drill "${hammer[@]}" --film "${BELFRY_DATA:-../shared/data}/plates-eu.mp4" kills --role reader --count "${COUNT:-50}" --cameras 2 --anpr 1 --seed 20261125
            ;;
        cuts)
            drill "${hammer[@]}" "${small[@]}" outage --case cut --keys same --count "${COUNT:-50}" --seed 41
            drill "${hammer[@]}" "${small[@]}" outage --case cut --keys other --count "${COUNT:-30}" --seed 42
            drill "${hammer[@]}" "${small[@]}" outage --case cut --keys both --count "${COUNT:-20}" --seed 43
            ;;
        refused)
            drill "${hammer[@]}" "${small[@]}" outage --case refused --keys other --count "${COUNT:-30}" --cameras 5 --seed 61
            drill "${hammer[@]}" "${small[@]}" outage --case refused --keys same --count "${COUNT:-15}" --cameras 5 --seed 62
            ;;
        stalls)
            drill "${hammer[@]}" outage --case stall --seconds 20 --count 2 --cameras 4
            drill "${hammer[@]}" outage --case stall --seconds 60 --count 1 --cameras 4
            ;;
        reconnect)
            # A key frame every 200 ms: what is measured is the way back, not the wait for a key frame.
            [ -s "$gop5" ] || ffmpeg -v error -f lavfi -i testsrc2=size=640x360:rate=25 -t 10 -c:v libx264 -preset veryfast -g 5 -keyint_min 5 \
                -bf 0 -b:v 800k -pix_fmt yuv420p "$gop5"
            drill "${hammer[@]}" --film "$gop5" reconnect --count "${COUNT:-60}" --seed 52
            ;;
        # R6: the recorder is killed while segments go up.
        tiers) drill env BELFRY_TIER_KILLS="${COUNT:-200}" cargo test -p belfry --test tiers kills -- --nocapture ;;
        raid) drill cargo test -p recorder --test raid -- --nocapture ;;
        keys) drill scripts/drills/keys.sh ;;
        bench) drill nice target/release/bench recorder all --dir "${BENCH_DIR:-target/bench-recorder}" ;;
        *) echo "no such drill: $one" >&2; exit 2 ;;
    esac
done
[ ${#failed[@]} -eq 0 ] || { printf 'failed: %s\n' "${failed[@]}" >&2; exit 1; }
