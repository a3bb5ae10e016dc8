#!/usr/bin/env bash
# Gives each exported format of LOG to a reader that others wrote: Python's json and csv, prometheus_client, tap.py
# and junitparser. A reader that is not installed is named and passed over
# (pip install prometheus_client tap.py junitparser).
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
log=${1:?usage: check-exports.sh LOG}
python=${PYTHON:-python3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pagemark="$root/target/debug/pagemark"
for format in bmf smaller-is-better google-benchmark junit tap openmetrics csv; do
    "$pagemark" export "$log" --format "$format" --output "$folder/$format"
done
"$python" - "$folder" <<'PYTHON'
import csv, importlib, json, sys

folder = sys.argv[1]
text = lambda name: open(f"{folder}/{name}", encoding="utf-8").read()
failed = 0


def check(name, reader, look):
    global failed
    try:
        module = importlib.import_module(reader)
    except ImportError:
        print(f"{name}: passed over, {reader} is not installed")
        return
    try:
        print(f"{name}: {reader} reads {look(module)}")
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


def junit(module):
    return f"{sum(len(suite) for suite in module.JUnitXml.fromfile(f'{folder}/junit'))} cases"


def google(_):
    report = json.loads(text("google-benchmark"))
    assert {"num_cpus", "caches", "library_build_type"} <= report["context"].keys()
    assert all({"name", "run_type", "real_time", "cpu_time", "time_unit"} <= run.keys() for run in report["benchmarks"])
    return f"{len(report['benchmarks'])} benchmarks"


check("bmf", "json", bmf)
check("smaller-is-better", "json", smaller)
check("csv", "csv", lambda module: f"{len(list(module.DictReader(open(f'{folder}/csv'))))} rows")
check("tap", "tap.parser", tap)
check("openmetrics", "prometheus_client.openmetrics.parser", metrics)
check("junit", "junitparser", junit)
check("google-benchmark", "json", google)
sys.exit(failed)
PYTHON
