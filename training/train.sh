#!/bin/sh
# Trains both plate models from nothing and writes models/: `make train`.
# MINUTES (of each training, default 100) may be set; a stopped run goes on.
set -eu
cd "$(dirname "$0")/.."
venv=.venv-train
python="$venv/bin/python"
minutes=${MINUTES:-100}

[ -x "$python" ] || python3 -m venv "$venv"
"$python" -m pip install --quiet -r training/requirements.txt
[ -d training/runs/fonts ] || training/fetch_fonts.sh
"$python" -m unittest training.selftest

# One thread each: two trainings with two threads hinder one another.
export OMP_NUM_THREADS=1
mkdir -p training/runs/detector
nice -n 19 "$python" -m training.train_detector --minutes "$minutes" --threads 1 >training/runs/detector/log.txt 2>&1 &
detector=$!
trap 'kill $detector 2>/dev/null || true' EXIT
nice -n 19 "$python" -m training.train_reader --minutes "$minutes" --threads 1
wait "$detector"

"$python" -m training.export
"$python" -m training.evaluate
"$python" -m training.calibrate
"$python" -m training.cards
