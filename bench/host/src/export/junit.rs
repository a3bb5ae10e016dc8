//! JUnit XML: a case or check that failed is a failure, a missing feature is skipped. The schemas have no place for a figure: it is what a
//! case printed (`system-out`).

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::outcomes;
use crate::gate::Judgement;
use crate::log::{Ending, Log};

/// One suite with every check and case.
pub fn write(log: &Log, judgement: Option<&Judgement>) -> String {
    let mut suite = TestSuite::new(format!("pagemark {}", log.start.suite));
    for outcome in outcomes(log, judgement) {
        let figure = outcome.figure();
        let status = match (outcome.failure, outcome.skipped) {
            (Some(failure), _) => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                status.set_message(failure);
                status
            }
            (None, Some(reason)) => {
                let mut status = TestCaseStatus::skipped();
                status.set_message(reason);
                status
            }
            (None, None) => TestCaseStatus::success(),
        };
        let mut case = TestCase::new(outcome.name, status);
        case.set_classname("pagemark");
        if let Some(figure) = figure {
            case.set_system_out(figure);
        }
        suite.add_test_case(case);
    }
    let errors = log.errors.iter().cloned().chain(match &log.ending {
        Ending::Panic(panic) => Some(format!("panic: {}", panic.message)),
        Ending::End(_) => None,
    });
    for error in errors {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message(error);
        suite.add_test_case(TestCase::new("run", status));
    }
    // Jenkins' schema (junit-10) has this attribute for a suite alone; it comes with the element of all suites first.
    let of_all_suites = format!(" skipped=\"{}\"", suite.skipped);
    let mut report = Report::new("pagemark");
    report.add_test_suite(suite);
    // Names and messages of a log have no characters that XML lacks: quick-junit takes those out.
    let xml = report.to_string().unwrap_or_default();
    xml.replacen(&of_all_suites, "", 1)
}
