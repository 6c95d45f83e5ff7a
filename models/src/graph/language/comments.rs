//! Comments, in languages that write them as C does. In: a file's text. Out: the text without them, each line where it was:
//! a comment is a third of many files and says nothing about what a program does. Texts are told from comments by how
//! the language quotes them; what does not end goes to the end of the file.

/// How a language quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quotes {
    /// Texts in backquotes may have lines.
    Go,
    /// Texts in three quotes may have lines.
    Java,
    /// Texts may have lines, raw ones have a fence; a single quote may begin a lifetime; comments nest.
    Rust,
}

/// The text without comments.
pub(super) fn without(text: &str, quotes: Quotes) -> String {
    let bytes = text.as_bytes();
    let mut kept = String::with_capacity(text.len());
    let (mut from, mut at) = (0, 0);
    while let Some(byte) = bytes.get(at) {
        let next = bytes.get(at + 1);
        at = match byte {
            b'/' if matches!(next, Some(b'/' | b'*')) => {
                let end = comment_end(bytes, at, quotes);
                kept.push_str(&text[from..at]);
                kept.push(' ');
                kept.extend(text[at..end].bytes().filter(|byte| *byte == b'\n').map(char::from));
                from = end;
                end
            }
            b'"' => text_end(bytes, at, quotes),
            b'`' if quotes == Quotes::Go => ends_with(bytes, at + 1, b"`"),
            b'\'' => quote_end(bytes, at, quotes),
            b'r' if quotes == Quotes::Rust
                && !at.checked_sub(1).is_some_and(|before| is_word(bytes[before])) =>
            {
                raw_end(bytes, at)
            }
            b'b' if quotes == Quotes::Rust
                && next == Some(&b'r')
                && !at.checked_sub(1).is_some_and(|before| is_word(bytes[before])) =>
            {
                raw_end(bytes, at + 1)
            }
            _ => at + 1,
        };
    }
    kept.push_str(&text[from..]);
    kept
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

/// Behind the next of these bytes, or the end.
fn ends_with(bytes: &[u8], from: usize, end: &[u8]) -> usize {
    let mut at = from;
    while at < bytes.len() {
        if bytes[at..].starts_with(end) {
            return at + end.len();
        }
        at += 1;
    }
    bytes.len()
}

/// The end of a comment; that of a line is before its break.
fn comment_end(bytes: &[u8], start: usize, quotes: Quotes) -> usize {
    let from = start + 2;
    if bytes[start + 1] == b'/' {
        let length = bytes[from..].iter().position(|byte| *byte == b'\n');
        return length.map_or(bytes.len(), |length| from + length);
    }
    if quotes != Quotes::Rust {
        return ends_with(bytes, from, b"*/");
    }
    let (mut at, mut depth) = (from, 1_u32);
    while at < bytes.len() {
        at += match (&bytes[at], bytes.get(at + 1)) {
            (b'*', Some(b'/')) => {
                depth -= 1;
                if depth == 0 {
                    return at + 2;
                }
                2
            }
            (b'/', Some(b'*')) => {
                depth += 1;
                2
            }
            _ => 1,
        };
    }
    bytes.len()
}

/// Behind a text; one that cannot have lines ends with its own.
fn text_end(bytes: &[u8], start: usize, quotes: Quotes) -> usize {
    if quotes == Quotes::Java && bytes[start..].starts_with(b"\"\"\"") {
        return ends_with(bytes, start + 3, b"\"\"\"");
    }
    quoted_end(bytes, start + 1, b'"', quotes == Quotes::Rust)
}

fn quoted_end(bytes: &[u8], from: usize, quote: u8, lines: bool) -> usize {
    let mut at = from;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'\n' if !lines => return at,
            byte if *byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Behind a character, or behind the quote of a lifetime.
fn quote_end(bytes: &[u8], start: usize, quotes: Quotes) -> usize {
    if quotes != Quotes::Rust || bytes.get(start + 1) == Some(&b'\\') {
        return quoted_end(bytes, start + 1, b'\'', false);
    }
    let first = bytes.get(start + 1).copied().unwrap_or(0);
    let width = match first {
        0..=0x7f => 1,
        0x80..=0xdf => 2,
        0xe0..=0xef => 3,
        _ => 4,
    };
    if bytes.get(start + 1 + width) == Some(&b'\'') { start + width + 2 } else { start + 1 }
}

/// Behind `r#"…"#`, or behind the letter where it begins none.
fn raw_end(bytes: &[u8], start: usize) -> usize {
    let fence = bytes[start + 1..].iter().take_while(|byte| **byte == b'#').count();
    if bytes.get(start + 1 + fence) != Some(&b'"') {
        return start + 1;
    }
    let mut at = start + 2 + fence;
    while at < bytes.len() {
        if bytes[at] == b'"' {
            let behind = bytes[at + 1..].iter().take(fence).take_while(|byte| **byte == b'#').count();
            if behind == fence {
                return at + 1 + fence;
            }
        }
        at += 1;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_go_and_lines_stay() {
        for quotes in [Quotes::Go, Quotes::Java, Quotes::Rust] {
            let text = "a // b\n/* c\n d */ e \"//x\" '\"' f // \"\n\"\\\"//\" /* g";
            assert_eq!(without(text, quotes), "a  \n \n e \"//x\" '\"' f  \n\"\\\"//\"  ");
        }
    }

    #[test]
    fn texts_with_lines_are_told_from_comments() {
        assert_eq!(without("`a\n// b` // c", Quotes::Go), "`a\n// b`  ");
        assert_eq!(without("\"\"\"\n// \"b\" \"\"\" // c", Quotes::Java), "\"\"\"\n// \"b\" \"\"\"  ");
        assert_eq!(without("\"a\n// b\" // c", Quotes::Rust), "\"a\n// b\"  ");
        assert_eq!(without("r#\"\"// a\"# br\"//\" // b", Quotes::Rust), "r#\"\"// a\"# br\"//\"  ");
    }

    #[test]
    fn lifetimes_and_characters_are_told_apart_and_comments_of_rust_nest() {
        assert_eq!(
            without("&'a str /* x /* y */ z */ '/' '\\'' 'é' b", Quotes::Rust),
            "&'a str   '/' '\\'' 'é' b"
        );
        assert_eq!(without("'// '", Quotes::Java), "'// '");
    }

    #[test]
    fn what_does_not_end_goes_to_the_end() {
        for text in
            ["/*", "\"", "'", "`", "r#\"", "\"\"\"", "\\", "'\\", "\"\\", "//", "/", "r", "br", "/* /*"]
        {
            for quotes in [Quotes::Go, Quotes::Java, Quotes::Rust] {
                assert!(without(text, quotes).len() <= text.len() + 1, "{text}");
            }
        }
    }
}
