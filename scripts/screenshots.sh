#!/usr/bin/env bash
# Takes the pictures of the report in docs/: LOG as a page, light and dark, wide and narrow. The log comes from
# scripts/run.sh --icount --suite full --smp 4 --log LOG
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
log=${1:?usage: screenshots.sh LOG}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$root/target/debug/pagemark" export "$log" --format html --output "$folder/page.html"
mkdir -p "$root/docs"
# Blink's number of a preferred colour scheme, and the size in pixels.
for picture in light-wide:1:1400,1250 light-narrow:1:400,1250 dark-wide:0:1400,1250 dark-narrow:0:400,1250; do
    IFS=: read -r name scheme size <<<"$picture"
    "${CHROMIUM:-chromium}" --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$folder/profile" \
        --blink-settings="preferredColorScheme=$scheme" --window-size="$size" \
        --screenshot="$root/docs/report-$name.png" "file://$folder/page.html" 2>"$folder/messages" ||
        { cat "$folder/messages" >&2; exit 1; }
done

# The README's plot: one figure of the page by its caption.
python3 - "$folder/page.html" "$folder/plot.html" <<'PYTHON'
import re, sys
page = open(sys.argv[1]).read()
plot = next(f for f in re.findall(r"<figure.*?</figure>", page, re.S) if "<figcaption>vmalloc alloc by live<" in f)
open(sys.argv[2], "w").write(page[: page.index("<body")] + "<body><main style='margin:0;padding:8px'>" + plot + "</main>")
PYTHON
for picture in light:1 dark:0; do
    IFS=: read -r name scheme <<<"$picture"
    "${CHROMIUM:-chromium}" --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$folder/profile" \
        --blink-settings="preferredColorScheme=$scheme" --window-size=620,445 \
        --screenshot="$root/docs/areas-$name.png" "file://$folder/plot.html" 2>"$folder/messages" ||
        { cat "$folder/messages" >&2; exit 1; }
done
