//! The table of one run: the machine, what was measured on it, what was proven, and how it ended. [`foreign`] is that of another
//! tool's figures.

mod areas;
pub(crate) mod crossover;
pub mod foreign;
mod summary;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use comfy_table::{Attribute, Cell, ColumnConstraint, ContentArrangement, Table, Width};
use pagemark_record::{
    Buddyinfo, CaseResult, Class, Clock, CoreKind, Cpu, Environment, Figure, Frames, Machine,
    ORDERS, Panic, Unit, Verdict,
};

use crate::glob::Globs;
use crate::image::{Symbols, backtrace};
use crate::log::{Ending, Log};
use crate::style::{Look, bytes, counted, figure, indented, resolved, thousands};

/// Columns of the text.
const WIDTH: u16 = 100;
const INDENT: u16 = 2;
/// Columns between columns.
const GAP: u16 = 2;
/// Columns of the words to the left of the machine's block.
const KEY: u16 = 12;

/// How much of a log is shown.
#[derive(Clone, Debug, Default)]
pub struct Detail {
    /// The summary alone.
    pub quiet: bool,
    /// Everything: what was skipped, free blocks, areas.
    pub all: bool,
    /// The cases in the table.
    pub only: Globs,
    /// Their order.
    pub sort: Sort,
    /// Columns of the terminal; none where nothing limits a line.
    pub width: Option<u16>,
}

/// The order of a table's cases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Sort {
    /// As the log has them, in groups
    #[default]
    Log,
    /// By name
    Name,
    /// By median, the most expensive first
    Median,
    /// By how far the 99th percentile lies above the median, the widest first
    Spread,
}

/// All of a log. A panic's addresses are named where `symbols` are those of its image.
pub fn render(log: &Log, look: Look, symbols: Option<&Symbols>) -> String {
    let detail = Detail {
        all: true,
        ..Detail::default()
    };
    render_as(log, look, symbols, &detail)
}

/// A log: what machine, how it went, the figures that most look for; then the table, and more as `detail` says.
pub fn render_as(log: &Log, look: Look, symbols: Option<&Symbols>, detail: &Detail) -> String {
    let title = format!("pagemark {}, suite {}", log.start.revision, log.start.suite);
    let mut text = format!("{}\n\n{}", look.bold(&title), head(log, look));
    text += &format!("{}\n", tail(log, look, symbols));
    if let Some(summary) = summary::table(log, look) {
        text += &format!("{summary}\n");
    }
    if detail.quiet {
        return text;
    }
    if log
        .results
        .iter()
        .any(|result| detail.only.admit(&result.case))
    {
        text += &format!("{}\n", results(log, look, detail));
    }
    if !log.skips.is_empty() && detail.all {
        let rows = log
            .skips
            .iter()
            .map(|skip| (skip.case.as_str(), skip.reason.clone()));
        text += &format!("{}\n{}\n", look.bold("  skipped"), block(rows, look));
    }
    if !log.buddyinfo.is_empty() && detail.all {
        text += &format!("{}\n", free_blocks(&log.buddyinfo, look));
    }
    if detail.all && log.vmallocinfo.iter().any(|info| info.live > 0) {
        text += &format!("{}\n", areas::table(&log.vmallocinfo, look));
    }
    let hidden = [log.skips.len(), log.buddyinfo.len()].iter().sum::<usize>();
    if !detail.all && hidden > 0 {
        let skipped = counted(log.skips.len(), "case");
        text += &format!("  {skipped} skipped; --all shows which, and the free blocks and areas\n");
    }
    text
}

fn head(log: &Log, look: Look) -> String {
    let mut rows = vec![("command line", log.start.command_line.clone())];
    if let Some(machine) = &log.machine {
        rows.extend(machine_rows(machine));
    }
    rows.extend(
        log.environment
            .iter()
            .map(|found| ("environment", environment(found))),
    );
    if log.cpus.len() > 1 {
        rows.push(("topology", topology(&log.cpus)));
    }
    if !log.zones.is_empty() {
        let zones: Vec<_> = log
            .zones
            .iter()
            .map(|zone| format!("{} {}", zone.name, thousands(zone.free_frames)))
            .collect();
        rows.push(("free frames", zones.join(", ")));
    }
    if let Some(boot) = &log.boot {
        rows.push((
            "boot",
            format!(
                "{} {} from entry to the first sample",
                thousands(boot.ticks),
                words(boot.unit)
            ),
        ));
    }
    if let Some(probe) = &log.probe {
        rows.push((
            "probe",
            format!(
                "{} ticks per 1,000 NOPs",
                thousands(probe.ticks_per_1000_nops)
            ),
        ));
    }
    rows.extend(log.notices.iter().map(|notice| ("notice", notice.clone())));
    block(rows, look)
}

/// Where the CPUs of the run sit.
fn topology(cpus: &[Cpu]) -> String {
    let different = |of: &dyn Fn(&Cpu) -> Option<u32>| {
        let ids: BTreeSet<u32> = cpus.iter().filter_map(of).collect();
        ids.len()
    };
    let cores = counted(different(&|cpu| Some(cpu.core)), "core");
    let caches = match different(&|cpu| cpu.cache) {
        0 => String::new(),
        some => format!(" {},", counted(some, "last-level cache")),
    };
    let packages = counted(different(&|cpu| Some(cpu.package)), "package");
    let efficient = cpus
        .iter()
        .filter(|cpu| cpu.kind == Some(CoreKind::Efficient))
        .count();
    let kinds = match efficient {
        0 => String::new(),
        some => format!("; {some} of them are efficient ones"),
    };
    let all = counted(cpus.len(), "CPU");
    format!("{all} on {cores},{caches} {packages}{kinds}")
}

fn machine_rows(machine: &Machine<String>) -> Vec<(&'static str, String)> {
    let Machine {
        cpu,
        family,
        model,
        stepping,
        ..
    } = machine;
    let cpus = counted(machine.cpus as usize, "CPU");
    let mut rows = vec![
        (
            "CPU",
            format!(
                "{} (family {family}, model {model}, stepping {stepping}), {cpus}",
                cpu.trim()
            ),
        ),
        ("hypervisor", hypervisor(machine.hypervisor.as_deref())),
        ("clock", clock(machine)),
    ];
    if machine.clock != Clock::Icount {
        rows.push((
            "NOPs",
            format!(
                "1,000 of them take {} ticks",
                thousands(machine.ticks_per_1000_nops)
            ),
        ));
    }
    rows.extend([
        ("RAM", bytes(machine.ram_bytes)),
        ("loader", machine.loader.clone()),
        ("layout", machine.layout.clone()),
        ("features", machine.features.clone()),
    ]);
    rows
}

/// A hypervisor's name, from the signature in its CPUID leaf.
fn hypervisor(signature: Option<&str>) -> String {
    match signature.map(|signature| signature.trim_end_matches('\0')) {
        None => "none says that it is there".to_owned(),
        Some("KVMKVMKVM") => "KVM".to_owned(),
        Some("TCGTCGTCGTCG") => "QEMU TCG, an emulator".to_owned(),
        Some("Microsoft Hv") => "Hyper-V".to_owned(),
        Some("VMwareVMware") => "VMware".to_owned(),
        Some("XenVMMXenVMM") => "Xen".to_owned(),
        Some(other) => other.to_owned(),
    }
}

/// Who executes the instructions, and what a reader of the figures has to know.
pub(crate) fn environment(found: &Environment<String>) -> String {
    let class = match found.class.as_str() {
        "silicon" => "the CPU itself, as far as can be seen",
        "hidden_virtualisation" => "the CPU, under a hypervisor that hides",
        "emulator" => "an emulator that hides, or a hypervisor on one",
        "hardware_virtualisation" => "the CPU, under a hypervisor",
        "emulating_kvm" => "a hypervisor that interprets each instruction",
        "tcg" => "QEMU's translator, on the host's time",
        "tcg_icount" => "QEMU's translator, on a clock that counts instructions",
        other => other,
    };
    let mut text = match found.tags.as_str() {
        "" => class.to_owned(),
        tags => format!("{class}; tags: {tags}"),
    };
    if let Some(ppm) = found.disagreement_ppm {
        text += &format!("; sources of the frequency {} ppm apart", thousands(ppm));
    }
    if found.cold.as_deref() == Some("tlbs") && found.class.ends_with("virtualisation") {
        text +=
            "; /cold is cold of the TLBs, and of the caches only if the hypervisor obeys WBINVD";
    }
    if let Some(cycles) = found.cycles_per_1000_ticks {
        text += &format!("; {} core cycles in 1,000 ticks", thousands(cycles));
    }
    text
}

/// What a tick is, and so what the figures mean.
fn clock(machine: &Machine<String>) -> String {
    match machine.clock {
        Clock::Icount => {
            "icount: a tick is one executed instruction, so figures repeat exactly".to_owned()
        }
        Clock::Tsc => {
            let rate = match machine.tsc_hz {
                Some(hz) => format!("{}.{:03} MHz", thousands(hz / 1_000_000), hz / 1000 % 1000),
                None => "unknown rate".to_owned(),
            };
            let kind = if machine.invariant_tsc {
                "invariant"
            } else {
                "not invariant"
            };
            format!(
                "tsc: the hardware's counter, {rate} ({}), {kind}",
                machine.tsc_source
            )
        }
        Clock::Emulated => {
            "emulated: an emulator's time, which says nothing about any CPU".to_owned()
        }
    }
}

/// The unit in words.
pub(crate) fn words(unit: Unit) -> &'static str {
    match unit {
        Unit::Insns => "instructions",
        Unit::Ticks => "ticks",
    }
}

/// Two columns: what it is, and the text, which wraps.
fn block<'a>(rows: impl IntoIterator<Item = (&'a str, String)>, look: Look) -> String {
    let mut table = look.table();
    for (key, value) in rows {
        table.add_row([key, &value]);
    }
    // The longest key makes the column, and keys of several blocks mostly the same one.
    let longest = table
        .column_max_content_widths()
        .first()
        .copied()
        .unwrap_or_default();
    let key = longest.clamp(KEY, WIDTH / 2) + 1;
    table
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH - INDENT);
    for (column, width) in table.column_iter_mut().zip([key, WIDTH - INDENT - key - 1]) {
        column.set_padding((0, 1));
        column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width)));
    }
    indented(&table, INDENT)
}

/// The cases whose names have their first part in common.
struct Group<'a> {
    name: &'a str,
    /// The rest of each name.
    cases: Vec<(&'a str, &'a CaseResult<String>)>,
}

/// The results by the first part of their names, both in the log's order.
fn groups(log: &Log) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for result in &log.results {
        let (name, rest) = result
            .case
            .split_once('/')
            .unwrap_or(("other", &result.case));
        match groups.iter_mut().find(|group| group.name == name) {
            Some(group) => group.cases.push((rest, result)),
            None => groups.push(Group {
                name,
                cases: vec![(rest, result)],
            }),
        }
    }
    groups
}

/// The table of the cases. Names are never broken: where lines would be longer than `detail` allows, columns go, the least needed
/// first.
fn results(log: &Log, look: Look, detail: &Detail) -> String {
    let unit = log.unit().map_or("", words);
    let clock = log.clock().map_or("", Clock::as_str);
    let overhead = log.results[0].overhead;
    let same = log.results.iter().all(|result| result.overhead == overhead);
    let title = format!("{unit} ({clock})");
    let classed = log.results.iter().any(|result| result.class.is_some());
    // Of instructions every count is exact.
    let counted = log.clock() == Some(Clock::Icount);
    let all = [
        "class",
        "samples",
        "resolution",
        "min",
        "median",
        "p99",
        "max",
        "overhead",
    ];
    let mut shown: Vec<&str> = all
        .into_iter()
        .filter(|name| match *name {
            "class" => classed,
            "resolution" => classed && !counted,
            "overhead" => !same && !counted,
            _ => true,
        })
        .collect();
    // The order in which columns go.
    let mut less_needed = [
        "overhead",
        "samples",
        "max",
        "min",
        "resolution",
        "class",
        "p99",
    ]
    .into_iter();
    loop {
        let table = results_table(log, look, detail, &title, &shown);
        let text = indented(&table, INDENT);
        let widest = text
            .lines()
            .map(|line| {
                anstream::adapter::strip_str(line)
                    .to_string()
                    .chars()
                    .count()
            })
            .max();
        let fits = detail
            .width
            .is_none_or(|width| widest.unwrap_or(0) <= usize::from(width));
        match (fits, less_needed.next()) {
            (false, Some(name)) => shown.retain(|column| *column != name),
            _ => {
                let overhead = match same && overhead != Figure::default() {
                    true => format!(
                        "\n  The empty bracket's {} {unit} are subtracted from each sample.\n",
                        figure(overhead)
                    ),
                    false => String::new(),
                };
                return text + &overhead;
            }
        }
    }
}

fn results_table(log: &Log, look: Look, detail: &Detail, title: &str, shown: &[&str]) -> Table {
    let mut table = look.table();
    let header: Vec<&str> = [title].into_iter().chain(shown.iter().copied()).collect();
    look.header(&mut table, &header);
    let cells = |result: &CaseResult<String>| -> Vec<Cell> {
        let column = |name: &&str| match *name {
            "samples" => thousands(result.samples),
            "class" => result.class.map_or("", Class::as_str).to_owned(),
            "resolution" => result.resolution.map_or_else(String::new, figure),
            "min" => resolved(result, result.min),
            "median" => resolved(result, result.median),
            "p99" => resolved(result, result.p99),
            "max" => resolved(result, result.max),
            _ => figure(result.overhead),
        };
        shown.iter().map(column).map(Cell::new).collect()
    };
    if detail.sort == Sort::Log {
        for Group { name, cases } in groups(log) {
            let cases: Vec<_> = cases
                .into_iter()
                .filter(|(_, result)| detail.only.admit(&result.case))
                .collect();
            if cases.is_empty() {
                continue;
            }
            table.add_row([Cell::new(name).add_attribute(Attribute::Bold)]);
            for (rest, result) in cases {
                let first = Cell::new(format!("  {rest}"));
                table.add_row([first].into_iter().chain(cells(result)));
            }
        }
        return table;
    }
    let mut results: Vec<&CaseResult<String>> = log
        .results
        .iter()
        .filter(|result| detail.only.admit(&result.case))
        .collect();
    let spread =
        |result: &CaseResult<String>| result.p99.as_f64() / result.median.as_f64().max(1.0);
    match detail.sort {
        Sort::Name | Sort::Log => results.sort_by(|a, b| a.case.cmp(&b.case)),
        Sort::Median => results.sort_by_key(|result| std::cmp::Reverse(result.median)),
        Sort::Spread => results.sort_by(|a, b| spread(b).total_cmp(&spread(a))),
    }
    for result in results {
        table.add_row([Cell::new(&result.case)].into_iter().chain(cells(result)));
    }
    table
}

/// The zones' free blocks, order by order, and why larger requests would fail.
fn free_blocks(infos: &[Buddyinfo<String>], look: Look) -> String {
    let orders: Vec<String> = (0..ORDERS).map(|order| order.to_string()).collect();
    let mut header = vec!["blocks by order"];
    header.extend(orders.iter().map(String::as_str));
    let mut table = look.table();
    look.header(&mut table, &header);
    for info in infos {
        let name = format!("{}, at the {}", info.zone, info.moment);
        let blocks = info.blocks.map(thousands);
        table.add_row([name].into_iter().chain(blocks));
        if info.fragmentation.iter().any(Option::is_some) {
            let indices = info.fragmentation.map(|index| {
                index.map_or("-".to_owned(), |index| {
                    format!("{}.{:03}", index / 1000, index % 1000)
                })
            });
            table.add_row(["  fragmentation".to_owned()].into_iter().chain(indices));
        }
    }
    table
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH - INDENT);
    indented(&table, INDENT)
}

fn tail(log: &Log, look: Look, symbols: Option<&Symbols>) -> String {
    let passed = log.checks.iter().filter(|check| check.pass).count();
    let mut rows = Vec::new();
    if !log.checks.is_empty() {
        rows.push(("checks", format!("{} passed", thousands(passed as u64))));
    }
    let failed = log.checks.iter().filter(|check| !check.pass);
    rows.extend(failed.map(|check| ("FAILED", format!("{}: {}", check.name, check.detail))));
    rows.extend(log.frames.as_ref().map(|&Frames { at_start, at_end }| {
        let came_back = match at_start == at_end {
            true => format!("all {} free frames came back", thousands(at_start)),
            false => format!(
                "{} were free at the start, {} at the end",
                thousands(at_start),
                thousands(at_end)
            ),
        };
        ("frames", came_back)
    }));
    rows.extend(crossover::told(log).map(|text| ("crossover", text)));
    rows.extend(crossover::advised(log).map(|text| ("advice", text)));
    rows.extend(log.errors.iter().map(|error| ("error", error.clone())));
    let mut text = block(rows, look);
    match &log.ending {
        Ending::End(end) => {
            let verdict = match end.verdict {
                Verdict::Pass => look.good("pass"),
                Verdict::Fail => look.bad("fail"),
                Verdict::Error => look.bad("error"),
            };
            text += &format!(
                "  {:width$}{verdict}\n",
                "verdict",
                width = usize::from(KEY + GAP)
            );
        }
        Ending::Panic(panic) => text += &last_words(panic, look, symbols),
    }
    text
}

/// The image's first function, where every backtrace ends.
const ENTRY: &str = "image_entry";

fn last_words(panic: &Panic<String>, look: Look, symbols: Option<&Symbols>) -> String {
    let place = if panic.file.is_empty() {
        String::new()
    } else {
        format!(" at {}:{}", panic.file, panic.line)
    };
    let mut text = format!("\n  {}{place}\n    {}\n", look.bad("panic"), panic.message);
    let addresses: Vec<u64> = panic.addresses.iter().map(|address| address.0).collect();
    match symbols {
        Some(symbols) => {
            for (depth, frame) in backtrace(symbols, &addresses, ENTRY).iter().enumerate() {
                let doubt = if frame.linked { ' ' } else { '?' };
                let name = symbols.name(frame.inside).unwrap_or_default();
                text += format!("    {depth:>2} {doubt}{:#018x}  {name}", frame.address).trim_end();
                text.push('\n');
            }
        }
        None => {
            for (depth, address) in addresses.iter().enumerate() {
                text += &format!("    {depth:>2}  {address:#018x}\n");
            }
        }
    }
    text
}
