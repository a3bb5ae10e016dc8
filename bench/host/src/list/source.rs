//! Where a case gets its name: the string in its source that fits it best.
//!
//! Names are literals (`"tlb/invlpg"`), formats (`"tlb/{family}/live={live}"`), whose braces stand for any text, or put together of
//! parts (`pair!("order=0/zone=whole", $policy)`). Of the strings that fit a name or a part of it, the one with the most characters of
//! its own is shown.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::glob;

/// The fewest letters of a string that is a name.
const LEAST: usize = 2;
/// The fewest characters of a string that is part of a name.
const LEAST_OF_PART: usize = 7;

/// A string in a source, as a glob.
struct Template {
    file: String,
    line: usize,
    glob: String,
    /// Characters outside of braces.
    own: usize,
}

/// The sources of a checkout, read as they are needed.
pub struct Sources {
    root: PathBuf,
    read: RefCell<BTreeMap<String, Vec<Template>>>,
}

impl Sources {
    /// Those of the checkout at `root`.
    pub fn new(root: PathBuf) -> Self {
        Self {
            root,
            read: RefCell::default(),
        }
    }

    /// `file:line` of the name of `case` in `path`, a file or a folder of the checkout; none where no string fits.
    pub fn place(&self, path: &str, case: &str) -> Option<String> {
        let mut read = self.read.borrow_mut();
        let templates = read.entry(path.to_owned()).or_insert_with(|| {
            let mut templates = Vec::new();
            collect(&self.root, Path::new(path), &mut templates);
            templates
        });
        let fits = |template: &&Template| {
            let is_part = || glob::matches(&format!("*{}*", template.glob), case);
            glob::matches(&template.glob, case) || template.own >= LEAST_OF_PART && is_part()
        };
        let fitting = templates.iter().filter(fits);
        // Of equals the first, as a name is written before it is used again.
        let best = fitting.rev().max_by_key(|template| template.own)?;
        Some(format!("{}:{}", best.file, best.line))
    }
}

fn collect(root: &Path, path: &Path, templates: &mut Vec<Template>) {
    let full = root.join(path);
    if full.is_dir() {
        let Ok(entries) = std::fs::read_dir(&full) else {
            return;
        };
        let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        for name in names {
            collect(root, &path.join(name), templates);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs")
        && let Ok(text) = std::fs::read_to_string(&full)
    {
        let file = path.to_string_lossy();
        for (line, text) in text.lines().enumerate() {
            let code = text.trim_start();
            if code.starts_with("//") {
                continue;
            }
            let strings = code.split('"').skip(1).step_by(2);
            templates.extend(strings.filter_map(|string| template(&file, line + 1, string)));
        }
    }
}

fn template(file: &str, line: usize, string: &str) -> Option<Template> {
    let mut glob = String::new();
    let mut own = 0;
    let mut rest = string;
    while let Some((before, after)) = rest.split_once('{') {
        own += before.len();
        glob += before;
        glob.push('*');
        rest = after.split_once('}')?.1;
    }
    own += rest.len();
    glob += rest;
    let is_name = string.contains(['/', '='])
        && !string.contains(char::is_whitespace)
        && !string.contains(['*', '?']);
    let said = glob.chars().filter(char::is_ascii_alphabetic).count();
    (is_name && said >= LEAST).then(|| Template {
        file: file.to_owned(),
        line,
        glob,
        own,
    })
}
