//! The fleet as tables: for a terminal, for Markdown, as CSV and JSON.

use comfy_table::Cell as Field;

use super::{Cell, Fleet};
use crate::style::{Look, counted, indented, measured};

/// How a fleet is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Tables for people
    #[default]
    Text,
    /// One line a case and machine
    Csv,
    /// Everything
    Json,
    /// Tables for a web page that takes Markdown
    Markdown,
}

impl Fleet {
    /// The machines and the figures; with `base` figures are shares of that machine's.
    pub fn write(&self, format: Format, base: Option<usize>, look: Look) -> String {
        match format {
            Format::Text => self.text(base, look),
            Format::Csv => self.csv(),
            Format::Json => serde_json::to_string_pretty(self).unwrap_or_default() + "\n",
            Format::Markdown => self.markdown(base),
        }
    }

    /// A figure as a cell shows it.
    pub fn shown(row: &[Option<Cell>], at: usize, base: Option<usize>) -> String {
        let Some(cell) = row[at] else {
            return "-".to_owned();
        };
        match base {
            None => measured(cell.median),
            Some(base) => match row[base] {
                Some(base) if base.median > 0.0 => format!("{:.2}", cell.median / base.median),
                _ => "-".to_owned(),
            },
        }
    }

    fn machine_rows(&self) -> Vec<[String; 8]> {
        let rows = self.machines.iter().map(|machine| {
            [
                machine.name.clone(),
                machine.cpu.clone(),
                machine.clock.clone(),
                machine.boots.to_string(),
                format!("{:.2} %", machine.spread * 100.0),
                machine
                    .crossover
                    .map_or("-".to_owned(), |pages| pages.to_string()),
                machine.changes.len().to_string(),
                machine.dates[1].clone(),
            ]
        });
        rows.collect()
    }

    fn title(&self, base: Option<usize>) -> String {
        match base {
            Some(base) => format!("relative to {}", self.machines[base].name),
            None => format!("median {}", self.unit),
        }
    }

    fn text(&self, base: Option<usize>, look: Look) -> String {
        let mut table = look.table();
        look.header(&mut table, &MACHINES);
        for row in self.machine_rows() {
            table.add_row(row);
        }
        let mut text = indented(&table, 2) + "\n";
        let mut table = look.table();
        let title = self.title(base);
        let names = self.machines.iter().map(|machine| machine.name.as_str());
        let header: Vec<&str> = [title.as_str()].into_iter().chain(names).collect();
        look.header(&mut table, &header);
        for (case, row) in self.cases.iter().zip(&self.figures) {
            let cells = (0..row.len()).map(|at| Field::new(Self::shown(row, at, base)));
            table.add_row([Field::new(case)].into_iter().chain(cells));
        }
        text += &indented(&table, 2);
        text + &format!(
            "\n  {}, {}\n",
            counted(self.machines.len(), "machine"),
            counted(self.cases.len(), "case")
        )
    }

    fn csv(&self) -> String {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let header = [
            "machine", "cpu", "clock", "case", "unit", "median", "low", "high", "boots",
        ];
        let mut rows = vec![header.map(str::to_owned)];
        for (case, row) in self.cases.iter().zip(&self.figures) {
            for (machine, cell) in self.machines.iter().zip(row) {
                let Some(cell) = cell else { continue };
                rows.push([
                    machine.name.clone(),
                    machine.cpu.clone(),
                    machine.clock.clone(),
                    case.clone(),
                    self.unit.clone(),
                    cell.median.to_string(),
                    cell.interval[0].to_string(),
                    cell.interval[1].to_string(),
                    cell.boots.to_string(),
                ]);
            }
        }
        for row in rows {
            writer.write_record(&row).expect("memory takes every row");
        }
        let bytes = writer
            .into_inner()
            .expect("memory is written without errors");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn markdown(&self, base: Option<usize>) -> String {
        let line = |cells: &mut dyn Iterator<Item = String>| -> String {
            let cells: Vec<String> = cells.map(|cell| cell.replace('|', "\\|")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let rule = |columns: usize| -> String {
            let right = std::iter::repeat_n("---:", columns - 1);
            let rules: Vec<&str> = ["---"].into_iter().chain(right).collect();
            format!("| {} |\n", rules.join(" | "))
        };
        let mut text = line(&mut MACHINES.into_iter().map(str::to_owned)) + &rule(MACHINES.len());
        for row in self.machine_rows() {
            text += &line(&mut row.into_iter());
        }
        let names = self.machines.iter().map(|machine| machine.name.clone());
        text += "\n";
        text += &line(&mut [self.title(base)].into_iter().chain(names));
        text += &rule(self.machines.len() + 1);
        for (case, row) in self.cases.iter().zip(&self.figures) {
            let cells = (0..row.len()).map(|at| Self::shown(row, at, base));
            text += &line(&mut [format!("`{case}`")].into_iter().chain(cells));
        }
        text
    }
}

/// The columns of a table of machines.
pub const MACHINES: [&str; 8] = [
    "machine",
    "CPU",
    "clock",
    "boots",
    "spread",
    "crossover",
    "changes",
    "newest",
];
