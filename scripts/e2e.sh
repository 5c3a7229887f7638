#!/usr/bin/env bash
# The console in a real browser against the real programs. Usage: scripts/e2e.sh PROGRAMS (such as target/debug)
set -euo pipefail
cd "$(dirname "$0")/.."
programs=$(realpath "$1")
dir=$(mktemp -d)
port=${BELFRY_E2E_PORT:-18480}
demo=

finish() {
    [ -n "$demo" ] && kill -TERM "$demo" 2>/dev/null && wait "$demo" 2>/dev/null
    if [ "${ok:-no}" != yes ]; then echo "--- the demo's last words" >&2; tail -n 40 "$dir/demo.log" >&2 || true; fi
    rm -rf "$dir"
}
trap finish EXIT

"$programs/belfry" demo --dir "$dir/demo" --bind "127.0.0.1:$port" --extra 2 --second-person >"$dir/demo.log" 2>&1 &
demo=$!
for _ in $(seq 1 1200); do
    curl -fsS "http://127.0.0.1:$port/health" >/dev/null 2>&1 && break
    kill -0 "$demo" 2>/dev/null || { echo "the demo ended" >&2; exit 1; }
    sleep 0.5
done
curl -fsS "http://127.0.0.1:$port/health" >/dev/null

export BELFRY_URL="http://127.0.0.1:$port"
BELFRY_PASSWORD=$(cat "$dir/demo/password.txt")
export BELFRY_PASSWORD
BELFRY_TOTP=$(cat "$dir/demo/totp.txt")
export BELFRY_TOTP
cd web
# The operator's day, then the LEZ agent's, then the administrator's: each sees only their own pages.
BELFRY_USER=operator BELFRY_SKIP=findings node e2e/journey.mjs
BELFRY_USER=lez BELFRY_SKIP=refusal,live,playback,reads,session,language node e2e/journey.mjs
BELFRY_USER=admin BELFRY_SKIP=refusal,live,playback,reads,findings,session,language node e2e/journey.mjs
# Legal fields of a live camera, by two people and under the overseer's eyes.
node e2e/law.mjs
# Several cameras under one playhead, pictures while scrubbing, and the first frame that was asked for.
BELFRY_USER=operator node e2e/playback-sync.mjs
# Plates that a zone looks for: two people for an entry, a picture for a hit, purpose and case for a search.
node e2e/watchlist.mjs "$dir/demo"
# Findings of three queues, decided, taken back, and by a second person.
node e2e/findings.mjs
# Counts and travel times, as the mobility operator sees them, by keyboard.
node e2e/counts.mjs
# Footage held by one person and let go by two.
node e2e/holds.mjs
# Police reads behind the magistrate's gate: kept by two people, searched for by two, opened by one.
node e2e/searches.mjs
# A share that its owner takes back while an operator looks, and what the overseer sees of it.
node e2e/sharing.mjs
# The same in the middle of a pursuit, with a picture of each step as operator, owner and overseer see it.
node e2e/tabletop.mjs "$dir/tabletop"
# Footage that leaves the house as evidence: ordered by one, approved by another, checked by a stranger.
node e2e/exports.mjs "$programs"
# Security key, code, step-up. Last, because it gives the operator a key. A browser binds keys to a name, not to an address.
BELFRY_URL="http://localhost:$port" node e2e/identity.mjs
# Log-in at an identity provider: a real one, and a Belfry of its own.
node e2e/oidc.mjs "$programs" "$((port + 40))"
ok=yes
