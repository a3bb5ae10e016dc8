//! Figures side by side of which one side at least is another tool's.
//!
//! Names are matched, and figures of one unit get their difference; times are brought to nanoseconds first. Figures of one name in
//! different units, instructions and nanoseconds say, stand beside each other without one. Nothing is judged: these figures come
//! without their samples, and nobody knows of which machine they are.

use std::collections::HashMap;

use comfy_table::Cell;

use crate::figures::Entry;
use crate::style::{Look, counted, indented, measured};

/// Two sets of figures.
#[derive(Clone, Debug, PartialEq)]
pub struct Beside {
    /// What either side is, in words.
    kinds: [String; 2],
    rows: Vec<Row>,
    /// Names that only one side has.
    only: [Vec<String>; 2],
}

/// One name, with a figure of either side.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The name.
    pub name: String,
    /// The figure of the first side, and its unit.
    pub base: (f64, String),
    /// The figure of the second.
    pub new: (f64, String),
}

impl Row {
    /// Whether the two can be compared.
    pub fn one_unit(&self) -> bool {
        self.base.1 == self.new.1
    }

    /// The difference, signed, and its share of the first figure in per cent; of one unit alone.
    fn difference(&self) -> Option<[String; 2]> {
        let ((base, unit), (new, other)) = (&self.base, &self.new);
        if unit != other {
            return None;
        }
        let distance = new - base;
        let sign = if distance > 0.0 { "+" } else { "" };
        let share = match (distance == 0.0, *base == 0.0) {
            (true, _) => String::new(),
            (false, true) => "from 0".to_owned(),
            (false, false) => format!("{sign}{:.2} %", distance * 100.0 / base.abs()),
        };
        Some([format!("{sign}{}", measured(distance)), share])
    }
}

impl Beside {
    /// Sets the figures of one side beside those of the other. A name and unit stands once on a side.
    pub fn new(base: (Vec<Entry>, String), new: (Vec<Entry>, String)) -> Self {
        let kinds = [base.1, new.1];
        let [base, new] = [base.0, new.0].map(in_common_units);
        let [ours, theirs] = [&base, &new].map(|entries| by_name(entries));
        let mut rows = Vec::new();
        for name in names(&base) {
            if let Some(theirs) = theirs.get(name) {
                rows.extend(pairs(name, &ours[name], theirs));
            }
        }
        let only = [(&base, &theirs), (&new, &ours)].map(|(entries, others)| {
            let missing = names(entries).filter(|name| !others.contains_key(name));
            missing.map(str::to_owned).collect()
        });
        Self { kinds, rows, only }
    }

    /// What both sides have.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// What only the first side has, and what only the second.
    pub fn only(&self) -> &[Vec<String>; 2] {
        &self.only
    }

    /// The table, and what it does not say.
    pub fn render(&self, look: Look) -> String {
        let mut table = look.table();
        look.header(
            &mut table,
            &["", "base", "", "new", "", "difference", "per cent"],
        );
        for row in &self.rows {
            let [difference, share] = row
                .difference()
                .unwrap_or_else(|| ["other unit".to_owned(), String::new()]);
            let ((base, unit), (new, other)) = (&row.base, &row.new);
            let cells = [
                &row.name,
                &measured(*base),
                unit,
                &measured(*new),
                other,
                &difference,
                &share,
            ];
            table.add_row(cells.map(Cell::new));
        }
        let mut text = indented(&table, 2);
        let [base, new] = &self.kinds;
        text += &format!("\n  base: {base}\n  new:  {new}\n");
        for (side, names) in ["base", "new"].iter().zip(&self.only) {
            if !names.is_empty() {
                text += &format!("\n  only in {side}: {}\n", names.join(", "));
            }
        }
        let in_common = counted(self.rows.len(), "figure");
        text + &format!("\n  {in_common} side by side, not judged: no samples, no machine\n")
    }
}

/// Times in nanoseconds; everything else as it is.
fn in_common_units(mut entries: Vec<Entry>) -> Vec<Entry> {
    for entry in &mut entries {
        let ns = match entry.unit.as_str() {
            "us" | "µs" | "μs" | "usec" => 1e3,
            "ms" | "msec" => 1e6,
            "s" | "sec" => 1e9,
            _ => continue,
        };
        entry.value *= ns;
        "ns".clone_into(&mut entry.unit);
    }
    entries
}

/// The names, each once, in the order of the figures.
fn names(entries: &[Entry]) -> impl Iterator<Item = &str> {
    let mut seen = std::collections::HashSet::new();
    let names = entries.iter().map(|entry| entry.name.as_str());
    names.filter(move |name| seen.insert(*name))
}

fn by_name(entries: &[Entry]) -> HashMap<&str, Vec<&Entry>> {
    let mut map: HashMap<&str, Vec<&Entry>> = HashMap::new();
    for entry in entries {
        map.entry(&entry.name).or_default().push(entry);
    }
    map
}

/// The figures of one name: those of one unit with each other; where there are none, what there is.
fn pairs(name: &str, base: &[&Entry], new: &[&Entry]) -> Vec<Row> {
    let row = |base: &Entry, new: &Entry| Row {
        name: name.to_owned(),
        base: (base.value, base.unit.clone()),
        new: (new.value, new.unit.clone()),
    };
    let equal = base.iter().filter_map(|entry| {
        let other = new.iter().find(|other| other.unit == entry.unit)?;
        Some(row(entry, other))
    });
    let equal: Vec<Row> = equal.collect();
    if equal.is_empty() {
        let unlike = base.iter().zip(new);
        return unlike.map(|(base, new)| row(base, new)).collect();
    }
    equal
}
