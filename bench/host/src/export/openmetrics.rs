//! OpenMetrics text, as GitLab's `artifacts:reports:metrics` and Prometheus take it.

use crate::figures::{Entry, Kind};

/// One gauge for each unit, a sample for each case, and the closing `# EOF`.
pub fn write(figures: &[Entry]) -> String {
    let mut units: Vec<&str> = figures.iter().map(|entry| entry.unit.as_str()).collect();
    units.sort_unstable();
    units.dedup();
    let mut text = String::new();
    for unit in units {
        let word: String = unit
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .collect();
        text += &format!(
            "# HELP pagemark_median_{word} Median of a case.\n# TYPE pagemark_median_{word} gauge\n"
        );
        for entry in figures.iter().filter(|entry| entry.unit == unit) {
            let case = entry
                .name
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            let of = entry.of.map_or_else(String::new, |of| {
                let Kind {
                    class,
                    resolution,
                    below,
                } = of;
                format!(",class=\"{class}\",resolution=\"{resolution}\",below=\"{below}\"")
            });
            text += &format!(
                "pagemark_median_{word}{{case=\"{case}\"{of}}} {}\n",
                entry.value
            );
        }
    }
    text + "# EOF\n"
}
