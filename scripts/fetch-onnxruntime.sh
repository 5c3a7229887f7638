#!/usr/bin/env bash
# Puts ONNX Runtime's shared library where belfry-media looks for it: .onnxruntime/lib/ beside the repository's root.
# It comes out of the PyPI wheel, whose SHA-256 is pinned below. Safe to run again: does nothing when the file is there.
set -euo pipefail

version=1.31.1
root=$(cd "$(dirname "$0")/.." && pwd)
library="$root/.onnxruntime/lib/libonnxruntime.so.$version"

case "$(uname -m)" in
    x86_64)
        platform=manylinux_2_28_x86_64
        wheel_sha256=1f3dea47f2f0e5117c2404cea7d21fd253ae7836a3bf167a501cdfbb2600d536 ;;
    aarch64)
        platform=manylinux_2_28_aarch64
        wheel_sha256=0b9a492176886992e0e875f06bc0367e333f5fff11711a2d642e18b02f3009cc ;;
    *)
        echo "fetch-onnxruntime: no pinned ONNX Runtime for $(uname -m); give belfry-media a library with --ort" >&2
        exit 1 ;;
esac

if [ -s "$library" ]; then
    echo "ONNX Runtime $version is there: $library"
    exit 0
fi
if command -v pip3 >/dev/null; then pip=(pip3)
elif python3 -m pip --version >/dev/null 2>&1; then pip=(python3 -m pip)
else
    echo "fetch-onnxruntime: pip is missing; install it with: apt-get install python3-pip" >&2
    exit 1
fi
if ! command -v unzip >/dev/null; then
    echo "fetch-onnxruntime: unzip is missing; install it with: apt-get install unzip" >&2
    exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "onnxruntime==$version --hash=sha256:$wheel_sha256" > "$work/requirements.txt"
"${pip[@]}" download --quiet --no-deps --only-binary=:all: --require-hashes \
    --platform "$platform" --python-version 3.12 --implementation cp \
    --requirement "$work/requirements.txt" --dest "$work"
unzip -q -j "$work"/onnxruntime-*.whl "onnxruntime/capi/libonnxruntime.so.$version" -d "$work/lib"
mkdir -p "$(dirname "$library")"
chmod 644 "$work/lib/libonnxruntime.so.$version"
# Renamed into place, so that a broken download never looks like the library.
mv "$work/lib/libonnxruntime.so.$version" "$library.part"
mv "$library.part" "$library"
echo "ONNX Runtime $version: $library"
