//! `pagemark show` and `pagemark compare` with files of other tools, as a pipeline calls them; and those files damaged in every way.

use std::fs;
use std::path::{Path, PathBuf};

#[path = "../fuzz/import_properties.rs"]
mod import_properties;
mod pagemark;

use pagemark::pagemark;

fn seed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/seeds")
        .join(name)
}

/// What a call prints that ends with `status`.
fn printed(arguments: &[&str], files: &[&PathBuf], status: i32) -> String {
    let output = pagemark(arguments, files);
    assert_eq!(output.status.code(), Some(status), "{output:?}");
    let message = if status == 0 || status == 1 {
        output.stdout
    } else {
        output.stderr
    };
    String::from_utf8(message).unwrap()
}

/// The words of the line that begins with `name`.
fn line<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let words = |line: &'a str| line.split_whitespace().collect::<Vec<_>>();
    let mut lines = text.lines().map(words);
    lines
        .find(|words| words.first() == Some(&name))
        .unwrap_or_else(|| panic!("{name} in\n{text}"))
}

#[test]
fn show_says_what_a_file_is_and_has() {
    let text = printed(&["show"], &[&seed("import/go_text")], 0);
    assert!(text.contains("go_text, Go benchmark text\n"), "{text}");
    assert_eq!(
        line(&text, "Map/pages=1"),
        ["Map/pages=1", "250", "ns", "3"]
    );
    let text = printed(&["show"], &[&seed("import/bmf"), &seed("log/whole")], 0);
    assert_eq!(
        line(&text, "page/map"),
        ["page/map", "120", "insns"],
        "{text}"
    );
    assert!(text.contains("suite quick"), "{text}");
}

#[test]
fn every_format_is_recognised_and_can_be_asked_for() {
    for (file, format, name) in [
        ("go_text", "go-text", "Go benchmark text"),
        ("bmf", "bmf", "Bencher metric format"),
        (
            "google_benchmark",
            "google-benchmark",
            "google-benchmark JSON",
        ),
        (
            "smaller_is_better",
            "smaller-is-better",
            "customSmallerIsBetter",
        ),
        ("data_js", "data-js", "data.js"),
        ("criterion", "criterion", "criterion's estimates.json"),
        ("test_vmalloc", "test-vmalloc", "log of test_vmalloc"),
        (
            "kvm_unit_tests",
            "kvm-unit-tests",
            "text of kvm-unit-tests' vmexit",
        ),
        ("sel4bench", "sel4bench", "sel4bench JSON"),
        ("sel4bench_history", "sel4bench", "sel4bench JSON"),
    ] {
        let path = seed("import").join(file);
        let text = printed(&["show"], &[&path], 0);
        let message = format!("{}, {name}", path.display());
        assert!(text.starts_with(&message), "{text}");
        let asked = printed(&["show", "--format", format], &[&path], 0);
        assert_eq!(asked, text);
    }
}

#[test]
fn a_folder_stands_for_what_criterion_left_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let estimates = fs::read(seed("import/criterion")).unwrap();
    for (benchmark, name) in [("map/page_1", Some("map/page 1")), ("unmap", None)] {
        for version in ["new", "base", "change"] {
            let leaf = folder
                .path()
                .join("criterion")
                .join(benchmark)
                .join(version);
            fs::create_dir_all(&leaf).unwrap();
            fs::write(leaf.join("estimates.json"), &estimates).unwrap();
            if let Some(name) = name {
                let json = format!("{{\"full_id\":\"{name}\"}}");
                fs::write(leaf.join("benchmark.json"), json).unwrap();
            }
        }
    }
    let root = folder.path().to_owned();
    let text = printed(&["show"], &[&root], 0);
    assert!(
        text.contains("map/page 1     5.5    ns  5.25  5.75"),
        "{text}"
    );
    assert_eq!(line(&text, "unmap"), ["unmap", "5.5", "ns", "5.25", "5.75"]);
    let text = printed(&["compare"], &[&root, &root], 0);
    assert!(text.contains("2 figures side by side"), "{text}");
    // One benchmark's file alone.
    let one = root.join("criterion/map/page_1/base/estimates.json");
    assert!(printed(&["show"], &[&one], 0).contains("map/page 1"));
    fs::write(&one, "{}").unwrap();
    printed(&["show", "--format", "criterion"], &[&one], 4);
}

#[test]
fn a_log_and_its_export_are_equal() {
    let folder = tempfile::tempdir().unwrap();
    let log = seed("log/whole");
    for format in FORMATS {
        let exported = folder.path().join(format);
        let to = exported.to_str().unwrap();
        printed(&["export", "--format", format, "--output", to], &[&log], 0);
        for sides in [[&log, &exported], [&exported, &log]] {
            let text = printed(&["compare"], &sides, 0);
            let words = line(&text, "tlb/invlpg");
            assert_eq!(words[1..], ["2", "insns", "2", "insns", "0"], "{format}");
            assert!(text.contains("4 figures side by side"), "{text}");
            assert!(!text.contains("only in"), "{text}");
        }
    }
}

#[test]
fn another_tool_s_figures_go_out_in_a_third_one_s_format() {
    let kvm = seed("import/kvm_unit_tests");
    let text = printed(&["export", "--format", "go-text"], &[&kvm], 0);
    assert!(
        text.contains("\nBenchmarkSelf_ipi_sti_nop/ipi 1 1900 ticks\n"),
        "{text}"
    );
    let text = printed(&["export", "--format", "junit"], &[&kvm], 2);
    assert!(text.contains("make no report on a run"), "{text}");
    let base = ["export", "--format", "csv", "--base", kvm.to_str().unwrap()];
    let text = printed(&base, &[&kvm], 2);
    assert!(text.contains("--base and --history are for logs"), "{text}");
}

/// The formats that are written and read.
const FORMATS: [&str; 4] = ["go-text", "bmf", "google-benchmark", "smaller-is-better"];

#[test]
fn figures_of_other_units_stand_beside_each_other_without_a_ratio() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("linux.txt");
    let text = "tool: pagemark\nBenchmarkTlb/invlpg 10 120.5 ns\nBenchmarkOther 10 7 ns\n";
    fs::write(&other, text).unwrap();
    let text = printed(&["compare"], &[&other, &seed("log/whole")], 0);
    assert_eq!(
        line(&text, "tlb/invlpg")[1..],
        ["120.5", "ns", "2", "insns", "other", "unit"]
    );
    assert!(text.contains("only in base: other\n"), "{text}");
    assert!(text.contains("only in new: "), "{text}");
}

#[test]
fn what_cannot_be_read_is_reported_with_file_line_and_value() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    let message = |arguments: &[&str], text: &str| {
        fs::write(&file, text).unwrap();
        printed(arguments, &[&file], 4)
    };
    let text = message(&["show"], "\nno benchmark at all\n");
    assert!(
        text.contains("file: no pagemark log") && text.contains("line 2 is `no benchmark at all`"),
        "{text}"
    );
    // What google-benchmark leaves when it is killed.
    let text = message(&["show"], "{\"benchmarks\": [\n{\"name\": \"a\"},\n");
    let why = "the file is no JSON: EOF while parsing a value at line 3 column 0";
    assert!(text.contains(why), "{text}");
    let text = message(&["show"], "BenchmarkA 1 2 ns/op\nBenchmarkB 1 two ns/op\n");
    assert!(
        text.contains("file: line 2: a value is `two`, which is no number"),
        "{text}"
    );
    let text = message(&["show", "--format", "bmf"], "BenchmarkA 1 2 ns/op\n");
    assert!(
        text.contains("file: no Bencher metric format: expected value at line 1 column 1"),
        "{text}"
    );
    // What has a record is a log, whatever is asked for.
    let log = fs::read_to_string(seed("log/cut")).unwrap();
    let text = message(&["show", "--format", "bmf"], &log);
    assert!(text.contains("the run was cut off"), "{text}");
}

/// Cut at every byte, and with every byte made another in turn, through the properties that the fuzzer looks for exceptions to.
#[test]
fn they_hold_of_every_seed_however_damaged() {
    for entry in fs::read_dir(seed("import")).unwrap() {
        let path = entry.unwrap().path();
        eprintln!("{}", path.display());
        let whole = fs::read(path).unwrap();
        import_properties::hold(&whole);
        for at in 0..whole.len() {
            import_properties::hold(&whole[..at]);
            let mut changed = whole.clone();
            changed[at] = [b'\n', b'"', b'9', b'-', 0xff][at % 5];
            import_properties::hold(&changed);
        }
    }
}
