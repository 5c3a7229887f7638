#!/usr/bin/env bash
# Installs a release build on a machine with systemd: programs, console, models, units, user and folders. Run it again to update;
# the configuration and all state stay. It starts nothing.
#   scripts/build.sh release && sudo deploy/install.sh [ROOT]      ROOT: another file system, such as an image being built
set -euo pipefail
cd "$(dirname "$0")/.."
root=${1:-}
for file in target/release/belfry target/release/belfry-media web/dist/index.html .onnxruntime/lib/libonnxruntime.so.1.31.1; do
    [ -e "$file" ] || { echo "missing: $file; run: scripts/setup.sh test && scripts/build.sh release" >&2; exit 1; }
done
install -D -m 755 -t "$root/usr/bin" target/release/belfry target/release/belfry-media
install -D -m 644 -t "$root/usr/lib/belfry" .onnxruntime/lib/libonnxruntime.so.1.31.1
install -d "$root/usr/share/belfry"
for part in web:web/dist models:models; do
    rm -rf "$root/usr/share/belfry/${part%%:*}.new"
    cp -r "${part#*:}" "$root/usr/share/belfry/${part%%:*}.new"
    rm -rf "$root/usr/share/belfry/${part%%:*}"
    mv "$root/usr/share/belfry/${part%%:*}.new" "$root/usr/share/belfry/${part%%:*}"
done
install -D -m 644 -t "$root/etc/systemd/system" deploy/systemd/*
install -D -m 644 -t "$root/usr/lib/sysusers.d" deploy/sysusers.d/belfry.conf
install -D -m 644 -t "$root/usr/lib/tmpfiles.d" deploy/tmpfiles.d/belfry.conf
systemd-sysusers --root="${root:-/}" belfry.conf
systemd-tmpfiles --root="${root:-/}" --create belfry.conf
if [ ! -e "$root/etc/belfry/belfry.toml" ]; then
    install -D -m 644 deploy/belfry.toml "$root/etc/belfry/belfry.toml"
    echo "edit $root/etc/belfry/belfry.toml, then: systemctl enable --now belfry.target"
fi
[ -n "$root" ] || systemctl daemon-reload
