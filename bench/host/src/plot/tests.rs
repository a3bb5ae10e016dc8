//! Plots of odd data.

use super::chart::{Chart, Series};
use super::scale::Scale;

fn chart(series: Vec<Series>, scale: Scale, clip: bool) -> Chart {
    Chart {
        title: "a <plot>".to_owned(),
        x: ("pages".to_owned(), scale),
        y: ("median, ticks".to_owned(), scale),
        series,
        joined: true,
        cuts: Vec::new(),
        clip,
    }
}

fn series(name: &str, points: &[(f64, f64)]) -> Series {
    Series {
        name: name.to_owned(),
        points: points.to_vec(),
    }
}

fn drawn(chart: &Chart) -> String {
    chart.figure().unwrap().into_string()
}

#[test]
fn a_plot_has_a_name_titles_and_units() {
    let text = drawn(&chart(
        vec![series("alloc/descriptor", &[(1.0, 10.0), (8.0, 80.0)])],
        Scale::Log,
        false,
    ));
    for part in [
        "a &lt;plot&gt;",
        "role=\"img\"",
        ">pages<",
        ">median, ticks<",
        "alloc/descriptor",
        "class=\"line c1 d0\"",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn an_outlier_is_marked_and_flattens_nothing() {
    let mut points: Vec<(f64, f64)> = (0..30)
        .map(|at| (f64::from(at), 100.0 + f64::from(at % 5)))
        .collect();
    points[7].1 = 1e6;
    points[8].1 = 2.0;
    let text = drawn(&chart(vec![series("", &points)], Scale::Linear, true));
    assert_eq!(text.matches("class=\"out c").count(), 2, "{text}");
    assert!(
        text.contains("2 outside of the axis: 2 to 1,000,000"),
        "{text}"
    );
    assert!(text.contains(">104<") && !text.contains(">1M<"), "{text}");
    // Nor do a few that differ from many equal ones.
    points = (0..30)
        .map(|at| (f64::from(at), if at == 3 { 101.0 } else { 100.0 }))
        .collect();
    assert!(!drawn(&chart(vec![series("", &points)], Scale::Linear, true)).contains("outside"));
}

#[test]
fn a_step_is_no_outlier() {
    let points: Vec<(f64, f64)> = (0..60)
        .map(|at| (f64::from(at), if at < 50 { 100.0 } else { 150.0 }))
        .collect();
    let mut stepped = chart(vec![series("", &points)], Scale::Linear, true);
    assert!(drawn(&stepped).contains("10 outside"));
    stepped.cuts = vec![(50.0, "+50 %".to_owned())];
    assert!(!drawn(&stepped).contains("outside"));
}

#[test]
fn a_line_below_another_is_visible() {
    let points = [(1.0, 10.0), (8.0, 80.0), (64.0, 500.0)];
    let two = vec![series("by_page", &points), series("whole", &points)];
    let text = drawn(&chart(two, Scale::Log, false));
    assert!(
        text.contains("class=\"line c1 d0 under\"") && text.contains("class=\"line c2 d0\""),
        "{text}"
    );
    assert!(text.contains("wide, below whole"), "{text}");
}

#[test]
fn what_is_no_number_is_left_out_and_nothing_panics() {
    let odd = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        -1.0,
        0.0,
        1e-300,
        1e300,
        5.0,
    ];
    for scale in [
        Scale::Linear,
        Scale::Count,
        Scale::Log,
        Scale::Bytes,
        Scale::Date,
    ] {
        for clip in [false, true] {
            for pair in odd.iter().flat_map(|x| odd.iter().map(move |y| (*x, *y))) {
                let points = [pair, (2.0, 3.0)];
                let text = drawn(&chart(vec![series("", &points)], scale, clip));
                assert!(
                    !text.contains("NaN") && !text.contains("inf "),
                    "{pair:?} {scale:?}: {text}"
                );
            }
            assert!(
                chart(vec![series("", &[(f64::NAN, f64::NAN)])], scale, clip)
                    .figure()
                    .is_none()
            );
            assert!(chart(Vec::new(), scale, clip).figure().is_none());
        }
    }
}
