//! What stands in each format, and that it is well-formed where a reader of ours says so.

use pagemark_record::{CaseResult, Class, Clock, Crossover, Figure, Translations};

use super::{Format, annotations, export, markdown};
use crate::gate::{Finding, Judgement, Row};
use crate::log::read;
use crate::log::sample::{good, panicked};

fn judgement(slower: usize) -> Judgement {
    let rows = (0..slower).map(|index| Row {
        name: if index == 0 {
            "tlb/invlpg".to_owned()
        } else {
            format!("gone/n={index}:x,y%")
        },
        base: Some(10.0),
        new: (index == 0).then_some(11.0),
        finding: if index == 0 {
            Finding::Slower
        } else {
            Finding::Gone
        },
        p: None,
        joint_p: None,
        muted: false,
        blame: vec!["tlb::flush +1".to_owned()],
    });
    Judgement {
        clock: Clock::Icount,
        in_cycles: false,
        rule: "exact".to_owned(),
        rows: rows.collect(),
        suite: None,
        notes: Vec::new(),
        traced: Vec::new(),
    }
}

fn written(format: Format, slower: usize) -> String {
    let log = read(&good(Clock::Icount)).unwrap();
    export(format, &log, Some(&judgement(slower)), &[])
}

#[test]
fn nine_annotations_and_how_many_more() {
    let text = written(Format::Annotations, 12);
    assert_eq!(
        text.lines()
            .filter(|line| line.starts_with("::error "))
            .count(),
        10
    );
    assert!(text.contains("::and 3 more\n"));
    assert!(text.contains("::error title=gone/n=1%3Ax%2Cy%25::"));
    assert!(text.starts_with(
        "::error title=tlb/invlpg::tlb/invlpg: 10 -> 11 (+10.00 %25), slower; tlb::flush +1\n"
    ));
    let log = read(&good(Clock::Icount)).unwrap();
    assert_eq!(annotations::write(&log, None), "");
}

#[test]
fn tap_has_as_many_lines_as_its_plan() {
    for log in [good(Clock::Icount), panicked()] {
        let log = read(&log).unwrap();
        let text = export(Format::Tap, &log, None, &[]);
        let plan: usize = text
            .lines()
            .nth(1)
            .unwrap()
            .strip_prefix("1..")
            .unwrap()
            .parse()
            .unwrap();
        let lines = text
            .lines()
            .filter(|line| line.starts_with("ok ") || line.starts_with("not ok "));
        assert_eq!(lines.count(), plan);
    }
    assert!(
        written(Format::Tap, 1).contains("not ok 3 - tlb/invlpg\n"),
        "{}",
        written(Format::Tap, 1)
    );
}

#[test]
fn a_regression_is_a_failure_and_a_missing_feature_is_skipped_in_junit() {
    let xml = written(Format::Junit, 1);
    assert!(
        xml.contains("<failure message=\"tlb/invlpg: 10 -&gt; 11")
            || xml.contains("<failure message=\"tlb/invlpg: 10 -> 11"),
        "{xml}"
    );
    assert!(xml.contains("<skipped"), "{xml}");
    // Jenkins' schema has the attribute for a suite, and not for all of them.
    let element = |name: &str| xml.lines().find(|line| line.trim().starts_with(name));
    assert!(
        element("<testsuite ").unwrap().contains(" skipped="),
        "{xml}"
    );
    assert!(
        !element("<testsuites ").unwrap().contains(" skipped="),
        "{xml}"
    );
    let panic = export(Format::Junit, &read(&panicked()).unwrap(), None, &[]);
    assert!(panic.contains("<error"), "{panic}");
}

#[test]
fn the_summary_stays_within_a_mebibyte() {
    let text = written(Format::Markdown, 20_000);
    assert!(text.len() <= markdown::MOST && text.len() > markdown::MOST / 2);
    assert!(text.ends_with("1 MiB)\n"));
    let text = written(Format::Markdown, 1);
    assert!(
        text.contains("| `tlb/invlpg` | 10 | 11 |") || text.contains("`tlb/invlpg`"),
        "{text}"
    );
}

#[test]
fn the_page_is_self_contained_and_escapes_what_a_log_says() {
    let mut log = read(&good(Clock::Tsc)).unwrap();
    log.start.revision = "<script>alert(1)</script>".to_owned();
    log.results[3].rounds = "21500,21504*29,1234567".to_owned();
    let page = export(Format::Html, &log, Some(&judgement(1)), &[]);
    assert!(!page.contains("<script>alert"));
    let leads_away = |link: &str| !link.starts_with("\"#");
    assert!(!page.contains("src=") && !page.split("href=").skip(1).any(leads_away));
    assert!(page.contains("<svg"));
}

/// What a reader without a mouse or a picture goes by.
#[test]
fn the_page_has_landmarks_a_contents_list_and_named_tables() {
    let log = read(&good(Clock::Tsc)).unwrap();
    let page = export(Format::Html, &log, Some(&judgement(1)), &[]);
    assert_eq!(page.matches("<main>").count(), 1);
    assert!(page.contains("<html lang=") && page.contains("<nav"));
    assert_eq!(page.matches("<h1").count(), 1);
    let anchors = page.split("href=\"#").skip(1);
    let anchors: Vec<&str> = anchors
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert!(anchors.len() >= 4, "{anchors:?}");
    for anchor in anchors {
        let places = page.matches(&format!("id=\"{anchor}\"")).count();
        assert_eq!(places, 1, "{anchor}");
    }
    let all = page.matches("<th").count() - page.matches("<thead").count();
    assert_eq!(all, page.matches("<th scope=").count());
    for plot in page.split("<svg").skip(1) {
        let head = plot.split('>').next().unwrap();
        assert!(
            head.contains("role=\"img\"") && head.contains("aria-label"),
            "{head}"
        );
    }
}

#[test]
fn openmetrics_ends_as_it_must() {
    let text = written(Format::Openmetrics, 0);
    assert!(text.ends_with("# EOF\n"));
    assert!(
        text.contains("pagemark_median_insns{case=\"tlb/invlpg\"} 1\n"),
        "{text}"
    );
}

/// A page that drew these among the other curves, or lost them, would not show where the crossover is.
#[test]
fn the_page_draws_the_crossover_once() {
    let mut log = read(&good(Clock::Icount)).unwrap();
    let some = log.results[0].clone();
    log.results = ["1/by_page", "8/by_page", "1/whole", "8/whole"]
        .map(|name| CaseResult {
            case: format!("tlb/flush/live=64/pages={name}"),
            median: 7_u64.into(),
            ..some.clone()
        })
        .into();
    log.crossovers = vec![Crossover {
        translations: Some(Translations::Kernel),
        working_set: Some(64),
        pages: Some(2),
        low: Some(2),
        high: Some(2),
        linux: 33,
        ceiling: 33,
        largest: 8,
    }];
    let page = export(Format::Html, &log, None, &[]);
    assert_eq!(page.matches("<svg role=\"img\"").count(), 1);
    assert!(page.contains(">crossover: 2</text>") && page.contains("page by page"));
    log.results.truncate(3);
    let page = export(Format::Html, &log, None, &[]);
    assert_eq!(page.matches("<svg").count(), 0, "a line of one point");
}

#[test]
fn no_format_gives_a_zero_for_what_is_not_resolved() {
    let mut log = read(&good(Clock::Tsc)).unwrap();
    log.results.truncate(1);
    let result = &mut log.results[0];
    result.class = Some(Class::Single);
    result.resolution = Some(52.into());
    result.median = Figure::from_thousandths(-26_000);
    let written = |format| export(format, &log, None, &[]);
    assert!(written(Format::Csv).contains("control/empty,ticks,52,52,52,"));
    assert!(written(Format::Csv).contains(",single,52,true,"));
    assert!(written(Format::Markdown).contains("< 52"));
    let page = written(Format::Html);
    assert!(page.contains("&lt; 52") && page.contains("single"));
    let metrics = written(Format::Openmetrics);
    assert!(metrics.contains("class=\"single\",resolution=\"52\",below=\"true\"} 52\n"));
    assert!(written(Format::Bmf).contains("\"value\": 52.0"));
}
