//! What is written comes back; what others write is read as it says; damage is reported with its place.

use std::fs;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::export;

/// A file as its tool writes it, with figures of our own.
fn sample(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/import");
    fs::read(folder.join(name)).unwrap()
}

/// Reads a sample as what it looks like.
fn known(name: &str) -> Foreign {
    let bytes = sample(name);
    let format = Format::recognise(&bytes).expect(name);
    read(format, &bytes, "a case").expect(name)
}

/// `name value unit [interval] [samples]` of each figure.
fn message(foreign: &Foreign) -> Vec<String> {
    let message = foreign.entries.iter().map(|entry| {
        let mut text = format!("{} {} {}", entry.name, entry.value, entry.unit);
        if let Some((low, high)) = entry.interval {
            text += &format!(" {low}..{high}");
        }
        if let Some(samples) = entry.samples {
            text += &format!(" n={samples}");
        }
        text
    });
    message.collect()
}

/// Why a text is no file of that format.
fn refused(format: Format, text: &str) -> String {
    read(format, text.as_bytes(), "a case")
        .unwrap_err()
        .to_string()
}

#[test]
fn go_benchmark_text() {
    let foreign = known("go_text");
    assert_eq!(foreign.format, Format::GoText);
    assert_eq!(
        message(&foreign),
        [
            "Map/pages=1 250 ns n=3",
            "Map/pages=1 0 B/op n=3",
            "Map/pages=1 0 allocs/op n=3",
            "Map/pages=512 102400 ns n=1",
            "Map/pages=512 40 MB/s n=1",
            "Unmap 401 ns n=1",
        ]
    );
}

#[test]
fn a_number_that_is_not_the_number_of_cpus_belongs_to_the_name() {
    let text = "BenchmarkA/size-16 1 2 ns/op\nBenchmarka/size-32 1 2 ns/op\n";
    let foreign = read(Format::GoText, text.as_bytes(), "a case").unwrap();
    assert_eq!(message(&foreign)[1], "a/size-32 2 ns n=1");
}

#[test]
fn damaged_go_text_is_reported_with_its_line() {
    let go = |text| refused(Format::GoText, text);
    assert_eq!(
        go("x\nBenchmarkA many 5 ns/op"),
        "line 2: the number of iterations is `many`, which is no whole number"
    );
    assert_eq!(
        go("BenchmarkA 1 5e999 ns/op"),
        "line 1: a value is `5e999`, which is no number"
    );
    assert_eq!(go("BenchmarkA 1 5"), "line 1: a unit is missing behind `5`");
    assert_eq!(go("BenchmarkA 1"), "line 1: a value is missing behind `1`");
    assert_eq!(
        go("Benchmarking is fun\n"),
        "Go benchmark text without any figure"
    );
}

#[test]
fn bencher_metric_format() {
    let foreign = known("bmf");
    assert_eq!(foreign.format, Format::Bmf);
    assert_eq!(
        message(&foreign),
        [
            "page/map 120 insns",
            "page/map 88.5 ns 87.25..91.5",
            "page/unmap 4096 file-size",
            "page/unmap 70 ns",
        ]
    );
    assert_eq!(
        refused(
            Format::Bmf,
            "{\n \"a\": {\n \"latency\": { \"value\": \"1\" } } }"
        ),
        "no Bencher metric format: invalid type: string \"1\", expected f64 at line 3 column 26"
    );
}

#[test]
fn google_benchmark_json() {
    let foreign = known("google_benchmark");
    assert_eq!(foreign.format, Format::GoogleBenchmark);
    assert_eq!(
        message(&foreign),
        ["BM_Map/1 130 ns n=2", "BM_Unmap 7.5 us n=3"]
    );
    assert_eq!(
        foreign.notes,
        [
            "BM_Walk: failed: no such file",
            "BM_Map: has neither a run nor a median, only the aggregates BigO"
        ]
    );
    assert_eq!(
        refused(Format::GoogleBenchmark, "{\"benchmarks\": [{}]}"),
        "no google-benchmark JSON: missing field `name` at line 1 column 18"
    );
}

/// The runs that google-benchmark and its own tools' inputs have, one list each.
fn google_benchmark_runs(runs: &str) -> Result<Foreign, ImportError> {
    let file = format!("{{\"context\": {{}},\n\"benchmarks\": [\n{runs}\n]}}");
    assert_eq!(
        Format::recognise(file.as_bytes()),
        Some(Format::GoogleBenchmark)
    );
    read(Format::GoogleBenchmark, file.as_bytes(), "")
}

#[test]
fn runs_of_google_benchmark_that_are_sums_of_others_are_no_samples() {
    // With --benchmark_report_aggregates_only, in percent what is no time; and with counters of the user's.
    let foreign = google_benchmark_runs(
        r#"{"name": "a_mean", "run_name": "a", "run_type": "aggregate", "aggregate_name": "mean", "real_time": 9, "time_unit": "us"},
        {"name": "a_median", "run_name": "a", "run_type": "aggregate", "aggregate_name": "median", "repetitions": 3, "real_time": 8, "time_unit": "us", "hits": 1e3, "misses": NaN},
        {"name": "a_cv", "run_name": "a", "run_type": "aggregate", "aggregate_name": "cv", "aggregate_unit": "percentage", "real_time": 0.01, "time_unit": "us"}"#,
    )
    .unwrap();
    assert_eq!(message(&foreign), ["a 8 us n=3"]);
    assert_eq!(foreign.notes, [""; 0]);
    // An aggregate that does not say which: as the tool's own comparison has it, the other runs count.
    let foreign = google_benchmark_runs(
        r#"{"name": "a", "run_type": "aggregate", "real_time": 7, "time_unit": "ns"},
        {"name": "a", "run_type": "iteration", "real_time": 800, "time_unit": "ns"},
        {"name": "b", "run_type": "aggregate", "real_time": 1, "time_unit": "ns"}"#,
    )
    .unwrap();
    assert_eq!(message(&foreign), ["a 800 ns n=1"]);
    assert_eq!(
        foreign.notes,
        ["b: has neither a run nor a median, only the aggregates (unnamed)"]
    );
}

#[test]
fn a_repetition_of_google_benchmark_that_failed_is_reported_beside_the_median_of_the_others() {
    let foreign = google_benchmark_runs(
        r#"{"name": "a", "run_name": "a", "run_type": "iteration", "error_occurred": true, "error_message": "no room", "real_time": 0, "time_unit": "ns"},
        {"name": "a", "run_name": "a", "run_type": "iteration", "real_time": 5, "time_unit": "ns"},
        {"name": "a_median", "run_name": "a", "run_type": "aggregate", "aggregate_name": "median", "repetitions": 2, "real_time": 5, "time_unit": "ns"},
        {"name": "b", "run_name": "b", "run_type": "iteration", "skipped": true, "skip_message": "no AVX"}"#,
    )
    .unwrap();
    assert_eq!(message(&foreign), ["a 5 ns n=2"]);
    assert_eq!(foreign.notes, ["a: failed: no room", "b: skipped: no AVX"]);
}

#[test]
fn google_benchmark_json_without_a_figure_is_refused_with_each_reason() {
    let refused = |runs: &str| google_benchmark_runs(runs).unwrap_err().to_string();
    assert_eq!(
        refused(
            r#"{"name": "a", "run_type": "iteration", "repetition_index": 0},
            {"name": "b", "run_type": "aggregate", "aggregate_name": "zz", "real_time": 0.01}"#
        ),
        "google-benchmark JSON without any figure\n  a: has no `real_time`\n  b: has neither a run nor a median, only the aggregates zz"
    );
    let many: Vec<String> = (0..11).map(|n| format!("{{\"name\": \"{n}\"}}")).collect();
    let message = refused(&many.join(","));
    assert!(
        message.ends_with("\n  7: has no `real_time`\n  and 3 more"),
        "{message}"
    );
    assert_eq!(refused(""), "google-benchmark JSON without any figure");
    assert_eq!(
        refused("{\"name\": \"a\",\n\"real_time\": \"ten\"}"),
        "no google-benchmark JSON: invalid type: string \"ten\", expected f64 at line 4 column 18"
    );
}

#[test]
fn github_action_benchmark_json() {
    let foreign = known("smaller_is_better");
    assert_eq!(foreign.format, Format::SmallerIsBetter);
    assert_eq!(
        message(&foreign),
        ["map 120 ns 115..125", "unmap 80.5 ns 72.45..88.55"]
    );
    assert_eq!(foreign.notes, ["pages: has no value"]);
    let text = "[{\"name\": \"a\",\n\"value\": \"5 ns\"}]";
    assert_eq!(
        refused(Format::SmallerIsBetter, text),
        "no customSmallerIsBetter of github-action-benchmark: invalid value: string \"5 ns\", expected a number at line 2 column 15"
    );
}

#[test]
fn the_newest_entry_of_each_suite_in_data_js() {
    let foreign = known("data_js");
    assert_eq!(foreign.format, Format::DataJs);
    assert_eq!(
        message(&foreign),
        [
            "Cargo/walk 3350 ns 3230..3470",
            "Quick/map 118 ns 116..120 n=100",
            "Quick/unmap 81 ns",
        ]
    );
    let text = "window.BENCHMARK_DATA = {\"entries\": {\"a\": [{\"benches\": {}}]}};\n";
    assert_eq!(
        refused(Format::DataJs, text),
        "no data.js of github-action-benchmark: invalid type: map, expected a sequence at line 1 column 55"
    );
}

#[test]
fn criterion_s_estimates() {
    let foreign = known("criterion");
    assert_eq!(foreign.format, Format::Criterion);
    assert_eq!(message(&foreign), ["a case 5.5 ns 5.25..5.75"]);
    // Of a change the estimates are shares.
    let change = String::from_utf8(sample("criterion")).unwrap();
    let change = change.replace("std_dev", "other");
    assert_eq!(Format::recognise(change.as_bytes()), None);
    assert!(refused(Format::Criterion, &change).contains("missing field `std_dev`"));
}

#[test]
fn the_log_of_test_vmalloc() {
    let foreign = known("test_vmalloc");
    assert_eq!(foreign.format, Format::TestVmalloc);
    assert_eq!(
        message(&foreign),
        [
            "test_vmalloc/fix_size_alloc_test 850 ns n=2",
            "test_vmalloc/full_fit_alloc_test 960.5 ns n=2",
            "test_vmalloc/align_shift_alloc_test 4000 ns n=2",
        ]
    );
    assert_eq!(
        foreign.notes,
        ["random_size_alloc_test: 1 of its repetitions failed"]
    );
    let vmalloc = |text: &str| refused(Format::TestVmalloc, text);
    assert_eq!(
        vmalloc("\n[ 1.0] Summary: a passed: 1 failed: 0 loops: 10 avg: -5 usec"),
        "line 2: a number is `-5`, which is no whole number"
    );
    assert_eq!(
        vmalloc("Summary: a passed: 1 failed: 0 loops: 0 avg: 5 usec"),
        "line 1: `loops:` is `0`, which is no number of turns"
    );
    assert_eq!(
        vmalloc("Summary: a passed: 1 failed: 0 loops: 10"),
        "line 1: `avg:` is missing behind `a`"
    );
}

#[test]
fn the_text_of_kvm_unit_tests() {
    let foreign = known("kvm_unit_tests");
    assert_eq!(foreign.format, Format::KvmUnitTests);
    assert_eq!(
        message(&foreign),
        [
            "cpuid 1210 ticks n=1",
            "vmcall 1195 ticks n=1",
            "mov_from_cr8 12 ticks n=1",
            "self_ipi_sti_nop 4100 ticks n=1",
            "self_ipi_sti_nop/ipi 1900 ticks n=1",
            "self_ipi_sti_nop/eoi 80 ticks n=1",
            "toggle_cr4_pge 2405 ticks n=1",
            "mmio-no-eventfd:pci-mem 15300 ticks n=1",
            "a_newer_test 77 ticks n=1",
        ]
    );
    assert_eq!(foreign.notes, ["ipi: skipped"]);
    // The test prints its mean as an int.
    assert_eq!(
        refused(Format::KvmUnitTests, "vmcall 1195\ncpuid -12\n"),
        "line 2: a test's ticks is `-12`, which is no whole number"
    );
}

#[test]
fn sel4bench_s_json() {
    let rows = [
        "Mapping Benchmark/Num of Page Mapped=1/Phase=map 1610 ccnt n=32",
        "Mapping Benchmark/Num of Page Mapped=1/Phase=protect 1400.25 ccnt n=100",
        "Average counters/Event=Cache L1I miss 3 events n=8",
    ];
    let foreign = known("sel4bench");
    assert_eq!(foreign.format, Format::Sel4bench);
    assert_eq!(message(&foreign), rows);
    assert_eq!(
        foreign.notes,
        ["Average counters/Event=Cycle counter: has no mean"]
    );
    // The array alone.
    let log = String::from_utf8(sample("sel4bench")).unwrap();
    let array = &log[log.find('[').unwrap()..=log.rfind(']').unwrap()];
    assert_eq!(Format::recognise(array.as_bytes()), Some(Format::Sel4bench));
    let foreign = read(Format::Sel4bench, array.as_bytes(), "").unwrap();
    assert_eq!(message(&foreign), rows);
    let cut = &log[..log.find("Stddev").unwrap()];
    assert_eq!(Format::recognise(cut.as_bytes()), Some(Format::Sel4bench));
    assert_eq!(
        refused(Format::Sel4bench, cut),
        "no sel4bench JSON: EOF while parsing a string at line 11 column 47"
    );
}

#[test]
fn the_newest_line_of_a_sel4bench_history() {
    let foreign = known("sel4bench_history");
    assert_eq!(foreign.format, Format::Sel4bench);
    assert_eq!(
        message(&foreign),
        ["map_1 1780 ccnt n=16", "null_call 594 ccnt n=32"]
    );
    assert_eq!(foreign.notes, ["odd: [1,2] is no vector of its statistics"]);
    let text = "{\"ts\": \"1\", \"sha_kernel\": \"2\"}\n{\"ts\": 5}";
    assert!(refused(Format::Sel4bench, text).contains("integer `5`, expected a string at line 2"));
}

#[test]
fn what_is_none_of_them_is_not_taken_for_one() {
    for text in [
        "",
        "\n\n",
        "{}",
        "[]",
        "[1]",
        "{\"a\": {}}",
        "hello",
        "{",
        "Benchmark",
    ] {
        assert_eq!(Format::recognise(text.as_bytes()), None, "{text:?}");
    }
}

/// Names that a case of ours could have, and others.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z][a-z0-9_/=.+-]{0,20}",
        "[A-Z_/=0-9é][!-~]{0,20}",
        "[!-~]{1,10}-[0-9]{1,2}",
    ]
}

/// Units, those among them for which a format has its own word.
fn unit() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("insns".to_owned()),
        Just("ticks".to_owned()),
        Just("cycles".to_owned()),
        Just("ns".to_owned()),
        Just("B/op".to_owned()),
    ]
}

/// Figures as a log may have them, and some more.
fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        (0..10_000_000_000_u64).prop_map(|thousandths| thousandths as f64 / 1000.0),
        -1e300..1e300,
        Just(0.0),
    ]
}

fn entry() -> impl Strategy<Value = Entry> {
    let interval = proptest::option::of((value(), value()));
    let samples = proptest::option::of(1..u64::MAX);
    (name(), unit(), value(), interval, samples).prop_map(
        |(name, unit, value, interval, samples)| Entry {
            interval,
            samples,
            ..Entry::new(name, unit, value)
        },
    )
}

/// Figures of which no two have one name and unit.
fn entries() -> impl Strategy<Value = Vec<Entry>> {
    vec(entry(), 1..12).prop_map(|mut entries| {
        let mut seen = std::collections::HashSet::new();
        entries.retain(|entry| seen.insert((entry.name.clone(), entry.unit.clone())));
        entries
    })
}

/// `entries` without what the format has no place for.
fn without(entries: &[Entry], lost: impl Fn(&mut Entry)) -> Vec<Entry> {
    let mut entries = entries.to_vec();
    entries.iter_mut().for_each(lost);
    entries
}

/// What is recognised as its format, and read back.
fn back(format: Format, text: &str) -> Vec<Entry> {
    assert_eq!(Format::recognise(text.as_bytes()), Some(format), "{text}");
    read(format, text.as_bytes(), "a case").expect(text).entries
}

proptest! {
    #[test]
    fn go_text_comes_back(entries in entries()) {
        let read = back(Format::GoText, &export::go_text::write(&entries));
        prop_assert_eq!(read, without(&entries, |entry| entry.interval = None));
    }

    #[test]
    fn bmf_comes_back(entries in entries()) {
        let mut read = back(Format::Bmf, &export::bmf::write(&entries));
        let mut entries = without(&entries, |entry| entry.samples = None);
        for entries in [&mut read, &mut entries] {
            entries.sort_by(|a, b| (&a.name, &a.unit).cmp(&(&b.name, &b.unit)));
        }
        prop_assert_eq!(read, entries);
    }

    #[test]
    fn google_benchmark_comes_back(entries in entries()) {
        let read = back(Format::GoogleBenchmark, &export::google_benchmark::write(&entries));
        prop_assert_eq!(read, entries);
    }

    #[test]
    fn smaller_is_better_comes_back(entries in entries()) {
        let entries = without(&entries, |entry| entry.unit = of_one(&entry.unit).to_owned());
        let read = back(Format::SmallerIsBetter, &export::smaller_is_better::write(&entries));
        prop_assert_eq!(read, entries);
    }

    /// As the action keeps what it was given.
    #[test]
    fn smaller_is_better_comes_back_from_data_js(entries in entries()) {
        let benches = export::smaller_is_better::write(&entries);
        let data = format!(
            "window.BENCHMARK_DATA = {{\"entries\": {{\"a\": [{{\"date\": 1, \"benches\": {benches}}}]}}}}"
        );
        prop_assert_eq!(back(Format::DataJs, &data), entries);
    }
}

#[test]
fn a_name_of_several_words_becomes_one_in_go_text() {
    let text = export::go_text::write(&[Entry::new("a b\tc\nd", "x y", 1.0)]);
    assert_eq!(
        message(&read(Format::GoText, text.as_bytes(), "a case").unwrap()),
        ["a_b_c_d 1 x_y"]
    );
}
