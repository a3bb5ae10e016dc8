//! What a logging program puts before every line: a time, a host, a unit. Its shape is taken from one line and removed from all.

/// The shape of a prefix: `[2026-11-30T13:39:53.123Z] ` is a bracket, words between hyphens, colons and dots, a bracket, spaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape(Vec<Token>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// Letters and digits, one or more.
    Word,
    /// Spaces or tabs, or none: widths vary.
    Spaces,
    /// Spaces or tabs before the text, at most: it may begin with others, and a line's last ones are often cut.
    LastSpaces(usize),
    /// Just this.
    Bytes(Vec<u8>),
}

/// GitLab's runner ends its prefix with a stream, `00O`, and a `+` where the line goes on with the one before.
const APPENDED: u8 = b'+';

impl Shape {
    /// The shape of `prefix`; none of nothing.
    pub fn of(prefix: &[u8]) -> Option<Self> {
        let mut tokens: Vec<Token> = Vec::new();
        for piece in prefix.chunk_by(|a, b| kind(*a) == kind(*b) && kind(*a) != Kind::Other) {
            tokens.push(match kind(piece[0]) {
                Kind::Word => Token::Word,
                Kind::Space => Token::Spaces,
                Kind::Other => Token::Bytes(piece.to_vec()),
            });
        }
        let last = |counted: Kind| {
            prefix
                .iter()
                .rev()
                .take_while(|byte| kind(**byte) == counted)
                .count()
        };
        match tokens.last_mut() {
            // Nothing ends a word that the line's own first word follows.
            Some(token @ Token::Word) => {
                *token = Token::Bytes(prefix[prefix.len() - last(Kind::Word)..].to_vec());
            }
            Some(token @ Token::Spaces) => *token = Token::LastSpaces(last(Kind::Space)),
            _ => {}
        }
        (!tokens.is_empty()).then_some(Self(tokens))
    }

    /// What follows the prefix on `line`, and whether the line before goes on there; none where the prefix is not of this shape.
    pub fn strip<'a>(&self, line: &'a [u8]) -> Option<(&'a [u8], bool)> {
        let mut rest = line;
        for token in &self.0 {
            let length = |counted: Kind| {
                rest.iter()
                    .take_while(|byte| kind(**byte) == counted)
                    .count()
            };
            rest = match token {
                Token::Word => match length(Kind::Word) {
                    0 => return None,
                    length => &rest[length..],
                },
                Token::Spaces => &rest[length(Kind::Space)..],
                Token::LastSpaces(most) => &rest[length(Kind::Space).min(*most)..],
                Token::Bytes(bytes) => rest.strip_prefix(bytes.as_slice())?,
            };
        }
        match (rest.split_first(), self.ends_with_stream()) {
            (Some((&APPENDED, rest)), true) => Some((rest, true)),
            _ => Some((rest, false)),
        }
    }

    fn ends_with_stream(&self) -> bool {
        matches!(
            self.0.as_slice(),
            [.., Token::Spaces, Token::Word, Token::LastSpaces(1)]
        )
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Word,
    Space,
    Other,
}

fn kind(byte: u8) -> Kind {
    match byte {
        b' ' | b'\t' => Kind::Space,
        _ if byte.is_ascii_alphanumeric() => Kind::Word,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_s_prefix_fits_the_others() {
        for (first, other) in [
            ("Nov 30 13:39:53 ", "Dec  1 00:00:01 "),
            ("[2026-11-30T13:39:53.123Z] ", "[2026-11-30T13:40:00.001Z] "),
            (
                "2026-11-30T13:39:53.1234567Z ",
                "2026-11-30T13:39:54.0000000Z ",
            ),
            (
                "2026-11-30T13:39:53.123456Z 00O ",
                "2026-11-30T13:39:53.123999Z 01E ",
            ),
            (
                "Nov 30 13:39:53 rack-7 qemu[123]: ",
                "Nov 30 13:39:54 rack-7 qemu[4567]: ",
            ),
            ("[   12.345678] ", "[12345.678901] "),
            ("qemu-1  | ", "qemu-1  | "),
        ] {
            let shape = Shape::of(first.as_bytes()).unwrap();
            let line = format!("{other}# text, 12");
            assert_eq!(
                shape.strip(line.as_bytes()),
                Some((&b"# text, 12"[..], false)),
                "{line}"
            );
            assert_eq!(
                shape.strip(other.trim_end().as_bytes()),
                Some((&b""[..], false))
            );
        }
        assert_eq!(Shape::of(b""), None);
    }

    #[test]
    fn another_s_line_has_none() {
        let shape = Shape::of(b"[   12.345678] ").unwrap();
        assert_eq!(shape.strip(b"# text"), None);
        let word = Shape::of(b"log").unwrap();
        assert_eq!(
            word.strip(b"logBenchmark"),
            Some((&b"Benchmark"[..], false))
        );
    }

    #[test]
    fn a_line_that_goes_on_says_so() {
        let shape = Shape::of(b"2026-11-30T13:39:53.123456Z 00O ").unwrap();
        let line = b"2026-11-30T13:39:53.200000Z 00O+more";
        assert_eq!(shape.strip(line), Some((&b"more"[..], true)));
    }
}
