#!/usr/bin/env bash
# usage: check-pages.sh PAGE.html...
# Opens each page in headless Chromium at three widths, light and dark, and asks axe-core for faults of accessibility; also fails where
# a page is wider than its window or logs an error. Needs Chromium and npm, which puts axe-core and puppeteer-core under target/readers.
# PICTURES=FOLDER keeps a picture of each.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
[ $# -gt 0 ] || { echo "usage: check-pages.sh PAGE.html..." >&2; exit 2; }
modules="$root/target/readers/pages"
mkdir -p "$modules"
if [ ! -e "$modules/installed" ]; then
    (cd "$modules" && npm install --silent --no-save --ignore-scripts axe-core@4 puppeteer-core@24)
    touch "$modules/installed"
fi
cat >"$modules/check.mjs" <<'JAVASCRIPT'
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import puppeteer from "puppeteer-core";

const axe = fs.readFileSync("node_modules/axe-core/axe.min.js", "utf8");
const [chromium, pictures, ...files] = process.argv.slice(2);
const browser = await puppeteer.launch({ executablePath: chromium, args: ["--no-sandbox", "--disable-gpu"] });
let faults = 0;
const fault = (what) => { faults += 1; console.log(`  ${what}`); };
for (const file of files) for (const scheme of ["light", "dark"]) for (const width of [1400, 800, 400]) {
  const page = await browser.newPage();
  console.log(`${path.basename(file)}, ${scheme}, ${width} pixels`);
  page.on("pageerror", (error) => fault(error.message));
  await page.setViewport({ width, height: 1000 });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  await page.goto(pathToFileURL(file).href);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  if (wide > width) fault(`${wide} pixels wide`);
  await page.evaluate(axe);
  const found = await page.evaluate(() => axe.run());
  for (const violation of found.violations) fault(`${violation.id}: ${violation.nodes[0].html.slice(0, 200)}`);
  const name = `${path.basename(file, ".html")}-${scheme}-${width}.png`;
  if (pictures) await page.screenshot({ path: path.join(pictures, name), fullPage: true });
  await page.close();
}
await browser.close();
console.log(`${files.length} pages, ${faults} faults`);
process.exit(faults > 0 ? 1 : 0);
JAVASCRIPT
pages=()
for page in "$@"; do pages+=("$(realpath "$page")"); done
pictures=${PICTURES:+$(realpath "$PICTURES")}
cd "$modules"
exec node check.mjs "$(command -v "${CHROMIUM:-chromium}")" "$pictures" "${pages[@]}"
