#!/bin/sh
# Fetches the free fonts beside which our own stroke glyphs are rendered.
# They are used for training only: nothing of them is committed or shipped.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out="$here/runs/fonts"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
cd "$work"

# SIL Open Font License, from the npm registry.
for font in antonio b612-mono barlow barlow-condensed barlow-semi-condensed \
    big-shoulders overpass oswald rajdhani roboto-condensed saira-condensed \
    saira-semi-condensed share-tech; do
    npm pack --silent "@fontsource/$font@5.3.0" >/dev/null
    mkdir "$font"
    tar -xzf fontsource-"$font"-5.3.0.tgz -C "$font"
    for weight in 400 500 600 700; do
        file="$font/package/files/$font-latin-$weight-normal.woff"
        [ ! -f "$file" ] || cp "$file" "$out/"
    done
done

# Free fonts from Debian: a DIN 1451 revival, highway grotesques, drafting.
for package in fonts-opendin fonts-roadgeek fonts-routed-gothic; do
    apt-get download "$package" >/dev/null 2>&1
    dpkg -x "$package"_*.deb "$work/deb"
done
find "$work/deb" \( -name '*.otf' -o -name '*.ttf' \) -exec cp {} "$out/" \;
echo "$(ls "$out" | wc -l) font files in $out"
