#!/usr/bin/env bash
# One copy of the keys is lost, by turns, then both: what docs/KEYS.md tells the operator to do, done, on a small system of its own. Ends with an error when a
# segment cannot be opened afterwards.
# Usage: scripts/drills/keys.sh [TURNS]      env: PROGRAMS (target/release), PORT (8590; the next two are used too), FILM
set -euo pipefail
cd "$(dirname "$0")/../.."
turns=${1:-6}
programs=$(realpath "${PROGRAMS:-target/release}")
port=${PORT:-8590}
film=$(realpath "${FILM:-target/films/sub-360p.mp4}")
dir=$(mktemp -d)
sim= run=
finish() {
    [ -z "$run" ] || { kill "$run" && wait "$run"; } 2>/dev/null || true
    [ -z "$sim" ] || { kill "$sim" && wait "$sim"; } 2>/dev/null || true
    rm -rf "$dir"
}
trap finish EXIT

cat >"$dir/belfry.toml" <<TOML
[paths]
state = 'state'
run = 'run'
web = '$PWD/web/dist'
models = '$PWD/models'
[http]
bind = '127.0.0.1:$port'
metrics_bind = '127.0.0.1:$((port + 1))'
[recorder]
disk_cap_mib = 2000
[recorder.keys]
one_disk = false
second_store = 'second/store'
second_root = 'second/root'
backup = 'backup'
backup_keys = 'backup-keys'
[ingest]
children = 1
[cameras]
allowed_networks = ['127.0.0.0/8']
allowed_ports = [[$((port + 2)), $((port + 2))]]
[reader]
enabled = false
[log]
origin = 'drill.belfry.localhost/log'
TOML
{
    echo "code,call_up,name_nl,name_fr,owner,lat,lon,url_main,url_sub,user,password,kind,retention_class,legal_basis_document,legal_basis_date,legal_basis_advice,pictogram_on"
    for n in 1 2; do
        echo "DRILL-$n,10$n,Proef $n,Essai $n,5340,50.8466,4.3517,rtsp://127.0.0.1:$((port + 2))/cam00$n/main,,sim,sim,overview,RC-VID-OPEN,Besluit $n,2026-01-15,Advies $n,2026-02-01"
    done
} >"$dir/cameras.csv"
echo sim >"$dir/sim.password"

belfry() { "$programs/belfry" --config "$dir/belfry.toml" "$@"; }
well() { curl --silent --max-time 2 --unix-socket "$dir/run/figures-recorder.sock" http://x/health | grep -qx ok; }
start() {
    "$programs/belfry" --config "$dir/belfry.toml" run >>"$dir/belfry.log" 2>&1 &
    run=$!
    for _ in $(seq 120); do
        sleep 0.5
        well && return 0
    done
    echo "the recorder is not well a minute after its start" >&2
    tail -n 20 "$dir/belfry.log" >&2
    return 1
}
stop() {
    kill "$run"
    wait "$run" || true
    run=
}
# How many segment keys open; an error when one does not.
opened() { belfry keys check | sed -n 's/.* \([0-9]*\) segment keys.*/\1/p'; }

"$programs/belfry-media" sim cameras --count 2 --port $((port + 2)) --film "$film" --user sim --password-file "$dir/sim.password" >"$dir/sim.log" 2>&1 &
sim=$!
belfry demo --setup-only --dir "$dir" --cameras "$dir/cameras.csv" >"$dir/setup.log" 2>&1
start
sleep 5

for turn in $(seq "$turns"); do
    stop
    before=$(opened)
    if [ $((turn % 2)) = 1 ]; then copy=first lost=$dir/state/footage-keys; else copy=second lost=$dir/second; fi
    rm -rf "$lost"
    mkdir -p "$lost"
    belfry keys status | grep -q "the $copy copy is not there" || { echo "turn $turn: status does not say that the $copy copy is lost" >&2; exit 1; }
    belfry keys adopt "$copy" >/dev/null
    after=$(opened)
    echo "turn $turn: the $copy copy lost and adopted: $before segment keys before, $after after"
    [ "$after" = "$before" ]
    start
    sleep 3
done

stop
belfry keys backup
before=$(opened)
rm -rf "$dir/state/footage-keys" "$dir/second"
mkdir -p "$dir"/{state/footage-keys,second}/{store,root}
belfry keys restore
after=$(opened)
echo "both copies lost, restored: $before segment keys before, $after after"
[ "$after" = "$before" ]
start
echo "waiting until the check looks at everything"
sleep 310
stop
belfry check --deep
belfry check --deep | tail -n 1 | awk '{ exit !($1 > 0 && $1 == $5) }'
echo "every segment opens"
