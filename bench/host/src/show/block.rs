//! Keys and texts in two columns.

use comfy_table::{ColumnConstraint, ContentArrangement, Width};

use super::{INDENT, KEY, WIDTH};
use crate::style::{Look, indented};

/// Two columns: what it is, and the text, which wraps.
pub(super) fn block<'a>(rows: impl IntoIterator<Item = (&'a str, String)>, look: Look) -> String {
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
