#!/usr/bin/env bash
# usage: check-exports.sh LOG [--without READER]...
# Gives each exported format of LOG to readers that others wrote, which it installs under target/readers first: into a virtual
# environment of Python's, but for google-benchmark's compare.py, which is in Debian's package libbenchmark-tools, Prometheus's
# promtool, which is in that of its server, and the schema of JUnit's XML, which is in pytest's sources. A reader that cannot be had is
# an error unless --without names it.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
log=${1:?usage: check-exports.sh LOG [--without READER]...}
shift
without=" "
while [ $# -gt 0 ]; do
    [ "$1" = --without ] && [ $# -gt 1 ] || { echo "usage: check-exports.sh LOG [--without READER]..." >&2; exit 2; }
    without+="$2 "
    shift 2
done
wanted() { [[ $without != *" $1 "* ]]; }

readers="$root/target/readers"
mkdir -p "$readers"
if ! python3 -c "import ensurepip" 2>/dev/null; then
    ((EUID == 0)) || { echo "as root, type: apt-get update && apt-get install -y python3-venv" >&2; exit 1; }
    apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv
fi
[ -x "$readers/bin/python" ] || python3 -m venv "$readers"
# The packages of each reader; tap.py reads version 13 with the help of two others.
declare -A packages=([tap]="tap.py pyyaml more-itertools" [prometheus_client]=prometheus_client [junitparser]=junitparser
    [xmlschema]=xmlschema [compare.py]="numpy scipy")
pip=("$readers/bin/python" -m pip --quiet --disable-pip-version-check)
for reader in "${!packages[@]}"; do
    stamp="$readers/installed-$reader"
    if wanted "$reader" && [ ! -e "$stamp" ]; then
        read -ra names <<<"${packages[$reader]}"
        "${pip[@]}" install "${names[@]}"
        touch "$stamp"
    fi
done
# from_debian PACKAGE PATH: that file or folder of the package, without what the package depends on.
from_debian() {
    [ ! -e "$readers/$2" ] || return 0
    apt-cache show "$1" >/dev/null 2>&1 || apt-get update -qq
    # Root's downloads are apt's own user's otherwise, who may not write here.
    (cd "$readers" && apt-get -o APT::Sandbox::User=root download -qq "$1" &&
        dpkg-deb --fsys-tarfile "$1"_*.deb | tar --extract "./$2" && rm "$1"_*.deb)
}
if wanted compare.py; then from_debian libbenchmark-tools usr/share/benchmark; fi
if wanted promtool; then from_debian prometheus usr/bin/promtool; fi
if wanted xmlschema && [ ! -e "$readers/junit-10.xsd" ]; then
    (cd "$readers" && "${pip[@]}" download --no-deps --no-binary pytest pytest &&
        tar --extract --gzip --wildcards --strip-components=3 --file pytest-*.tar.gz '*/junit-10.xsd')
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for format in bmf smaller-is-better google-benchmark junit tap openmetrics csv; do
    "$root/target/debug/pagemark" export "$log" --format "$format" --output "$folder/$format"
done
"$readers/bin/python" - "$folder" "$readers" "$without" <<'PYTHON'
import csv, glob, importlib, json, subprocess, sys

folder, readers, without = sys.argv[1], sys.argv[2], sys.argv[3].split()
failed = 0


def text(name):
    with open(f"{folder}/{name}", encoding="utf-8") as file:
        return file.read()


def check(name, reader, look, module=None):
    """`look` gets the module, and returns what it read; a reader that is not there is a failure."""
    global failed
    if reader in without:
        print(f"{name}: without {reader}")
        return
    try:
        print(f"{name}: {reader} reads {look(importlib.import_module(module or reader))}")
    except Exception as error:
        failed = 1
        print(f"{name}: {reader} refuses it: {error!r}")


def bmf(_):
    cases = json.loads(text("bmf"))
    assert all(isinstance(m["value"], (int, float)) for c in cases.values() for m in c.values())
    return f"{len(cases)} cases"


def smaller(_):
    benches = json.loads(text("smaller-is-better"))
    assert all({"name", "unit", "value"} <= bench.keys() for bench in benches)
    return f"{len(benches)} benches"


def tap(module):
    lines = list(module.Parser().parse_file(f"{folder}/tap"))
    tests = [line for line in lines if line.category == "test"]
    plan = next(line for line in lines if line.category == "plan")
    assert not any(line.category == "unknown" for line in lines), "unknown lines"
    assert plan.expected_tests == len(tests)
    return f"{len(tests)} tests"


def metrics(module):
    families = list(module.text_string_to_metric_families(text("openmetrics")))
    return f"{sum(len(family.samples) for family in families)} samples"


def promtool(_):
    """What it scrapes and lints; and what it imports, which is OpenMetrics alone and has a time for each sample."""
    tool = f"{readers}/usr/bin/promtool"
    run = subprocess.run([tool, "check", "metrics"], input=text("openmetrics"), capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", ""), run.stdout + run.stderr
    lines = text("openmetrics").splitlines()
    samples = [line for line in lines if not line.startswith("#")]
    with open(f"{folder}/timed", "w", encoding="utf-8") as file:
        file.writelines(f"{line} 1700000000\n" if line in samples else f"{line}\n" for line in lines)
    command = [tool, "tsdb", "create-blocks-from", "openmetrics", f"{folder}/timed", f"{folder}/blocks"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    (block,) = glob.glob(f"{folder}/blocks/*/meta.json")
    with open(block, encoding="utf-8") as file:
        imported = json.load(file)["stats"]["numSamples"]
    assert imported == len(samples), f"{imported} of {len(samples)} samples"
    return f"{imported} samples"


def junit(module):
    return f"{sum(len(suite) for suite in module.JUnitXml.fromfile(f'{folder}/junit'))} cases"


def schema(module):
    module.XMLSchema(f"{readers}/junit-10.xsd").validate(f"{folder}/junit")
    return "a report of the schema junit-10"


def google(_):
    """Compares the export with one whose first figure is twice as large: a row for each case, and that one reported."""
    report = json.loads(text("google-benchmark"))
    first = next(run for run in report["benchmarks"] if run["cpu_time"])
    first["cpu_time"] *= 2
    with open(f"{folder}/twice", "w", encoding="utf-8") as file:
        json.dump(report, file)
    command = [sys.executable, f"{readers}/usr/share/benchmark/compare.py", "--no-color", "benchmarks"]
    run = subprocess.run([*command, f"{folder}/google-benchmark", f"{folder}/twice"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    rows = {line.split()[0]: line.split()[2] for line in run.stdout.splitlines() if "+" in line or " 0 " in line}
    for benchmark in report["benchmarks"]:
        expected = "+1.0000" if benchmark is first else None
        assert benchmark["name"] in rows, f"no row {benchmark['name']}"
        assert expected in (None, rows[benchmark["name"]]), rows[benchmark["name"]]
    return f"{len(report['benchmarks'])} benchmarks, and reports the one that differs"


check("bmf", "json", bmf)
check("smaller-is-better", "json", smaller)
check("csv", "csv", lambda module: f"{len(list(module.DictReader(open(f'{folder}/csv'))))} rows")
check("tap", "tap", tap, "tap.parser")
check("openmetrics", "prometheus_client", metrics, "prometheus_client.openmetrics.parser")
check("openmetrics", "promtool", promtool, "json")
check("junit", "junitparser", junit)
check("junit", "xmlschema", schema)
check("google-benchmark", "compare.py", google, "json")
sys.exit(failed)
PYTHON
