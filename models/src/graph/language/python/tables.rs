//! Tables of constants. In: where a bracket opens. Out: which of its elements need not be parsed: where more than
//! [`KEPT`] constants stand at its beginning, those behind them. Tables are large and say nothing about what a program
//! does.

use std::ops::Range;

/// Constants that are kept, so that a table stays what it is and its first places stay known.
const KEPT: usize = 16;
/// Brackets within the table's own that are looked into.
const DEPTH_MAX: usize = 8;

/// The text of superfluous constants behind an opening bracket, from behind a comma to behind another.
pub(super) fn superfluous(bytes: &[u8], from: usize) -> Option<Range<usize>> {
    let (mut at, mut depth, mut elements) = (from, 0, 0);
    let (mut start, mut end) = (None, from);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b',' => {
                at += 1;
                if depth == 0 {
                    elements += 1;
                    end = at;
                    if elements == KEPT {
                        start = Some(at);
                    }
                }
                continue;
            }
            b'(' | b'[' | b'{' if depth < DEPTH_MAX => depth += 1,
            b')' | b']' | b'}' if depth > 0 => depth -= 1,
            b'"' | b'\'' => {
                at = text_end(bytes, at)?.1;
                continue;
            }
            b'#' => {
                at += bytes[at..].iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len() - at);
                continue;
            }
            b' ' | b'\t' | b'\r' | b'\n' | b':' | b'.' | b'-' | b'+' | b'0'..=b'9' => {}
            byte if byte.is_ascii_alphabetic() || *byte == b'_' => {
                let length = word(&bytes[at..], at.checked_sub(1).map(|before| bytes[before]));
                let Some(length) = length else { break };
                at += length;
                continue;
            }
            _ => break,
        }
        at += 1;
    }
    start.filter(|start| *start < end).map(|start| start..end)
}

/// The length of a word that may be part of a constant: of a number, a text's prefix, or a value with a name.
fn word(bytes: &[u8], before: Option<u8>) -> Option<usize> {
    let length = bytes.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
    let (word, behind) = (&bytes[..length], bytes.get(length));
    let number = before.is_some_and(|byte| byte.is_ascii_digit() || byte == b'.');
    let prefix = matches!(behind, Some(b'"' | b'\''))
        && matches!(word, b"r" | b"R" | b"b" | b"B" | b"u" | b"U" | b"rb" | b"br");
    let named = matches!(word, b"None" | b"True" | b"False");
    (number || prefix || named).then_some(length)
}

/// Where the inside of a text begins that begins with a quote, and where the inside and the text end.
pub(super) fn text_end(bytes: &[u8], start: usize) -> Option<(Range<usize>, usize)> {
    let quote = *bytes.get(start)?;
    let triple = bytes[start..].starts_with(&[quote; 3]);
    let width = if triple { 3 } else { 1 };
    let inside = start + width;
    let mut at = inside;
    loop {
        match bytes.get(at) {
            None => return Some((inside.min(bytes.len())..bytes.len(), bytes.len())),
            Some(b'\\') => at += 2,
            Some(b'\n') if !triple => return Some((inside..at, at)),
            Some(byte) if *byte == quote && (!triple || bytes[at..].starts_with(&[quote; 3])) => {
                return Some((inside..at, at + width));
            }
            Some(_) => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> String {
        match superfluous(text.as_bytes(), 1) {
            Some(range) => format!("{}{}", &text[..range.start], &text[range.end..]),
            None => text.to_owned(),
        }
    }

    #[test]
    fn constants_behind_the_first_are_superfluous_up_to_what_is_no_constant() {
        let first =
            "1, 0x1F, -2.5e3, 'a', b\"b\", None, True, (1, 'x'), [2], {3: 4}, r'\\\\', 12, 13, 14, 15, 16,";
        let text = format!("[{first} 17, ('b', \"c\"), # d\n 18, 19, f(20), 21]");
        assert_eq!(cut(&text), format!("[{first} f(20), 21]"));
        let text = format!("({first} 17, 18)");
        assert_eq!(cut(&text), format!("({first} 18)"));
    }

    #[test]
    fn few_constants_names_and_put_together_texts_stay() {
        for text in
            ["[1, 2, 3]", &format!("[{}x]", "a, ".repeat(40)), &format!("[{}]", "f'{x}', ".repeat(40))]
        {
            assert_eq!(cut(text), text);
        }
    }

    #[test]
    fn a_text_ends_at_its_quote_at_the_line_or_at_the_end() {
        assert_eq!(text_end(b"'a\\'b' c", 0), Some((1..5, 6)));
        assert_eq!(text_end(b"'a\nb'", 0), Some((1..2, 2)));
        assert_eq!(text_end(b"'''a\nb'''", 0), Some((3..6, 9)));
        assert_eq!(text_end(b"'\\", 0), Some((1..2, 2)));
    }
}
