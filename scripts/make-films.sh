#!/usr/bin/env bash
# Makes the test films that the simulator replays. A development tool: it calls Debian's ffmpeg (a GPL build with
# x264/x265), which Belfry neither links nor ships; its output is a moving test pattern and noise, nothing else.
#
#   scripts/make-films.sh [DIR]      DIR defaults to target/films
#
# Safe to run again: a film that is there is not made again. An interrupted film is never left under its final name.
set -euo pipefail

cd "$(dirname "$0")/.."
dir="${1:-target/films}"
mkdir -p "$dir"
command -v ffmpeg >/dev/null || { echo "make-films: ffmpeg is missing: apt-get install ffmpeg" >&2; exit 1; }

ff() { nice ffmpeg -hide_banner -loglevel error -nostdin -y "$@"; }

# pattern WIDTH HEIGHT RATE SECONDS [NOISE]: a moving test pattern; noise keeps the bit rate honest.
pattern() { echo "testsrc2=size=$1x$2:rate=$3:duration=$4,noise=alls=${5:-10}:allf=t,format=yuv420p"; }

# film NAME.EXT ARGUMENTS...: runs ffmpeg into a temporary name and renames when it worked.
film() {
  local name="$1"; shift
  if [ -s "$dir/$name" ]; then return; fi
  local partial="$dir/.partial-$$-$name"
  if ! ff "$@" "$partial"; then rm -f "$partial"; echo "make-films: $name failed" >&2; exit 1; fi
  mv "$partial" "$dir/$name"
  echo "make-films: $name ($(du -k "$dir/$name" | cut -f1) KiB)"
}

# Constant 4 Mbit/s, no scene-cut key frames, so that the key-frame interval is exact. $1 = interval in frames.
x264() { echo "-c:v libx264 -preset ultrafast -tune zerolatency -bf 0 -g $1 -keyint_min $1 -sc_threshold 0"; }
rate() { echo "-b:v $1k -maxrate $1k -bufsize $(( $1 / 2 ))k"; }

# The normal pair: main 1080p25 4 Mbit/s (twice: constrained baseline and high), sub 640x360. Key frame every 2 s.
film main-1080p.mp4      -f lavfi -i "$(pattern 1920 1080 25 20)" $(x264 50) $(rate 4000) -profile:v baseline -movflags +faststart
film main-1080p-high.mp4 -f lavfi -i "$(pattern 1920 1080 25 6 6)" -c:v libx264 -preset superfast -bf 0 -g 50 -keyint_min 50 \
  -sc_threshold 0 $(rate 4000) -profile:v high
film sub-360p.mp4        -f lavfi -i "$(pattern 640 360 25 20)" $(x264 50) $(rate 500) -profile:v baseline -movflags +faststart

# One odd thing each, small pictures.
film b-frames.mp4   -f lavfi -i "$(pattern 640 360 25 8)" -c:v libx264 -preset superfast -bf 2 -g 50 -keyint_min 50 -sc_threshold 0 $(rate 800)
film long-gop.mp4   -f lavfi -i "$(pattern 640 360 25 20)" $(x264 250) $(rate 500)
film hevc.mp4       -f lavfi -i "$(pattern 640 360 25 6)" -c:v libx265 -preset ultrafast -tag:v hvc1 \
  -x265-params log-level=error:keyint=50:min-keyint=50:scenecut=0:bframes=0:bitrate=800
film hevc-b-frames.mp4 -f lavfi -i "$(pattern 640 360 25 6)" -c:v libx265 -preset superfast -tag:v hvc1 \
  -x265-params log-level=error:keyint=50:min-keyint=50:scenecut=0:bframes=2:bitrate=800
# Variable frame rate: 25 frames/s for 2 s, then every third frame for 2 s, then 25 again.
film vfr.mp4        -f lavfi -i "$(pattern 640 360 25 6)" -vf "select='not(between(t\,2\,4))+between(t\,2\,4)*not(mod(n\,3))'" -fps_mode vfr \
  -enc_time_base 1:90000 $(x264 50) $(rate 600)
# Fragmented, with a sound track that must be passed over, B-frames, and a first decode time that is not 0.
film fragmented.mp4 -f lavfi -i "$(pattern 640 360 30 4)" -f lavfi -i sine=frequency=440:duration=4 -c:v libx264 -preset superfast \
  -bf 2 -g 45 -keyint_min 45 -sc_threshold 0 $(rate 600) -c:a aac -b:a 48k -movflags +frag_keyframe+empty_moov+default_base_moof

# Changes in mid-stream, as Annex B (25 frames/s, no B-frames): the picture-parameter-set id, and the resolution.
film pps-a.h264     -f lavfi -i "$(pattern 640 360 25 4)" $(x264 50) $(rate 500) -x264-params sps-id=0
film pps-b.h264     -f lavfi -i "$(pattern 640 360 25 4)" $(x264 50) $(rate 500) -x264-params sps-id=3
film size-b.h264    -f lavfi -i "$(pattern 960 540 25 4)" $(x264 50) $(rate 800)
join() {
  if [ -s "$dir/$1" ]; then return; fi
  cat "$dir/$2" "$dir/$3" > "$dir/.partial-$$-$1"
  mv "$dir/.partial-$$-$1" "$dir/$1"
  echo "make-films: $1"
}
join pps-change.h264  pps-a.h264 pps-b.h264
join size-change.h264 pps-a.h264 size-b.h264
