//! What the pages that pagemark writes have in common: the frame of a page, tables that scroll, sort and filter, and their style.
//!
//! A page has landmarks, headings in order, and tables whose headers say what they are of. All that the script does, sorting and
//! filtering, a keyboard reaches; without it the pages are whole. Nothing is loaded from elsewhere.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::plot;

/// The script that sorts tables and filters rows.
pub const SCRIPT: &str = include_str!("page.js");

/// The style of every page.
pub fn style() -> String {
    [include_str!("page.css"), plot::STYLE].concat()
}

/// Where a page has its style and script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assets {
    /// In itself.
    Inside,
    /// In files beside it: [`STYLE_FILE`] and [`SCRIPT_FILE`].
    Beside,
}

/// The file of the style.
pub const STYLE_FILE: &str = "site.css";
/// The file of the script.
pub const SCRIPT_FILE: &str = "site.js";

/// A page: its title, what leads elsewhere, what leads to its sections (an anchor and a text each), and its content.
pub fn page(
    title: &str,
    assets: Assets,
    site: &Markup,
    contents: &[(&str, &str)],
    content: &Markup,
) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                @match assets {
                    Assets::Inside => style { (PreEscaped(style())) },
                    Assets::Beside => link rel="stylesheet" href=(STYLE_FILE);
                }
                @if assets == Assets::Beside { script src=(SCRIPT_FILE) defer {} }
            }
            body {
                header { (site) h1 { (title) } }
                @if contents.len() > 1 {
                    nav.contents aria-label="Contents" { ul {
                        @for (anchor, text) in contents { li { a href=(format!("#{anchor}")) { (text) } } }
                    } }
                }
                main { (content) }
                @if assets == Assets::Inside { script { (PreEscaped(SCRIPT)) } }
            }
        }
    }
}

/// Titles of columns of text, which stand to the left.
const TEXTS: [&str; 9] = [
    "case", "machine", "CPU", "clock", "date", "newest", "revision", "log", "finding",
];

/// A table with a name, whose columns sort, in a region that scrolls. `anchor` is that of the table.
pub fn table(anchor: &str, name: &str, titles: &[&str], rows: &Markup) -> Markup {
    html! {
        div.wide tabindex="0" role="region" aria-label=(name) { table.sorts id=(anchor) {
            thead { tr { @for title in titles { th scope="col" class=[TEXTS.contains(title).then_some("text")] { (title) } } } }
            tbody { (rows) }
        } }
    }
}

/// A field that filters the table `anchor` by its first column.
pub fn filter(anchor: &str) -> Markup {
    html! { p.filter { label { "Show cases that contain " input type="search" data-filters=(anchor); } } }
}
