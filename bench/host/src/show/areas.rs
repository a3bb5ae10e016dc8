//! The areas of the vmalloc region, as `/proc/vmallocinfo` lists them.

use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement};
use pagemark_record::{Area, Moment, Vmallocinfo};

use super::{INDENT, WIDTH};
use crate::style::{Look, counted, indented, thousands};

/// Every moment with its areas.
pub(super) fn table(infos: &[Vmallocinfo], look: Look) -> String {
    let mut table = look.table();
    let header = [
        "vmalloc areas, guard pages included",
        "pages",
        "for",
        "access",
        "memory",
        "physical",
    ];
    look.header(&mut table, &header);
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Left);
    }
    for info in infos {
        table.add_row([Cell::new(heading(info)).add_attribute(Attribute::Bold)]);
        for area in &info.areas {
            table.add_row(row(area));
        }
        if info.more() > 0 {
            table.add_row([format!("  and {} more", thousands(info.more()))]);
        }
    }
    table
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH - INDENT);
    let mut text = indented(&table, INDENT);
    if let Some(info) = infos.first() {
        let pages = thousands(info.lazy_max_pages);
        text += &format!(
            "\n  Freed areas share one flush, which is due above {pages} pages (lazy_max_pages).\n"
        );
    }
    text
}

fn heading(info: &Vmallocinfo) -> String {
    let when = match info.moment {
        Moment::Start => "at the start",
        Moment::Check => "one of each kind",
        Moment::End => "at the end",
    };
    let live = match info.live {
        0 => "none".to_owned(),
        live => counted(live as usize, "area"),
    };
    match info.waiting {
        0 => format!("{when}: {live}"),
        waiting => format!("{when}: {live}, {} to flush", thousands(waiting)),
    }
}

fn row(area: &Area) -> [String; 6] {
    let size = if area.huge { ", 2 MiB leaves" } else { "" };
    [
        format!("  {}-{}", area.start, area.end),
        thousands(area.pages),
        area.kind.to_string(),
        area.access.to_string(),
        format!("{}{size}", area.memory_type),
        area.physical
            .map_or(String::new(), |physical| physical.to_string()),
    ]
}
