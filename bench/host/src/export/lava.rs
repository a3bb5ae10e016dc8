//! LAVA's signals of test cases, a line for each check and case, as its dispatcher reads them from a serial line or a shell. Of a figure that
//! is not resolved it gets the bound.

use pagemark_record::{TestCase, TestResult};

use super::outcomes;
use crate::gate::Judgement;
use crate::log::{Ending, Log};

/// The signals. A case that the gate stops at, an error and a panic are failed test cases.
pub fn write(log: &Log, judgement: Option<&Judgement>) -> String {
    let measured = |name: &str| log.results.iter().find(|result| result.case == name);
    let of_log = outcomes(log, judgement)
        .into_iter()
        .map(|outcome| TestCase {
            case: outcome.name,
            result: match (&outcome.failure, outcome.skipped) {
                (Some(_), _) => TestResult::Fail,
                (None, Some(_)) => TestResult::Skip,
                (None, None) => TestResult::Pass,
            },
            measurement: measured(outcome.name)
                .map(|result| (result.at_least_resolution(result.median), result.unit)),
        });
    let failed = |case| TestCase {
        case,
        result: TestResult::Fail,
        measurement: None,
    };
    let errors = log.errors.iter().map(|_| failed("run"));
    let panic = matches!(log.ending, Ending::Panic(_)).then(|| failed("panic"));
    let all = of_log.chain(errors).chain(panic);
    all.map(|signal| format!("{signal}\n")).collect()
}
