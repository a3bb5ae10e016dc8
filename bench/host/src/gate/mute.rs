//! The list of cases whose changes are told and do not count: a file with a glob a line, `*` for any text; `#` begins a comment.

/// The list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mutes(Vec<String>);

impl Mutes {
    /// Reads the file's text.
    pub fn read(text: &str) -> Self {
        let lines = text
            .lines()
            .map(|line| line.split('#').next().unwrap_or_default().trim());
        Self(
            lines
                .filter(|line| !line.is_empty())
                .map(str::to_owned)
                .collect(),
        )
    }

    /// Whether `case` is on it.
    pub fn contains(&self, case: &str) -> bool {
        self.0.iter().any(|glob| matches(glob, case))
    }
}

fn matches(glob: &str, text: &str) -> bool {
    let Some((head, rest)) = glob.split_once('*') else {
        return glob == text;
    };
    let Some(mut text) = text.strip_prefix(head) else {
        return false;
    };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        match text.find(piece) {
            Some(at) => text = &text[at + piece.len()..],
            None => return false,
        }
    }
    text.ends_with(last)
}
