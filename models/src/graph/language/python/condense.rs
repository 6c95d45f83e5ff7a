//! Source without what means nothing. In: a file's text. Out: the text without comments, empty lines, the insides of long
//! texts and most of long tables, indented by one blank per level, and where its lines were: half of a well-documented
//! program, which then need not be parsed. A long text keeps one brace, by which it is no known text. Refuses nothing; what is broken stays
//! broken.

use std::ops::Range;

use super::tables::{superfluous, text_end};
use crate::graph::lower::TEXT_MAX;
use crate::graph::syntax::Condensed;

/// What a tab counts, as the grammar has it.
const TAB: usize = 8;
/// Indentations that are told apart; a file with wider ones keeps its own.
const WIDTHS: usize = 256;

/// Condenses a file.
pub(super) fn condense(text: &str) -> Condensed {
    let bytes = text.as_bytes();
    let levels = levels(bytes);
    let (kept, lines) = (String::with_capacity(text.len()), Vec::with_capacity(text.len() / 32));
    let mut out = Writer { text, kept, lines, line: 1, from: 0 };
    let mut at = indentation(bytes, 0, &levels, &mut out);
    let mut table = None;
    while at < bytes.len() {
        if let Some(Range { end, .. }) = table.take_if(|table: &mut Range<usize>| table.start <= at) {
            out.leave_out(at, end, "");
            at = end;
            continue;
        }
        match bytes[at] {
            b'(' | b'[' | b'{' => {
                at += 1;
                table = table.or_else(|| superfluous(bytes, at));
            }
            b'#' => {
                let end = find(bytes, at, b'\n').unwrap_or(bytes.len());
                out.leave_out(at, end, "");
                at = end;
            }
            b'"' | b'\'' => at = string(bytes, at, &mut out),
            b'\n' => {
                out.line += 1;
                at = indentation(bytes, at + 1, &levels, &mut out);
            }
            // A continued line, or a quote that is none outside of a text.
            b'\\' if bytes.get(at + 1) != Some(&b'\n') => at += 2,
            _ => at += 1,
        }
    }
    out.finish()
}

/// For each width of indentation its place among those of the file: only which is wider means something.
fn levels(bytes: &[u8]) -> Option<[u8; WIDTHS]> {
    let mut levels = [0; WIDTHS];
    for line in bytes.split(|byte| *byte == b'\n') {
        *levels.get_mut(width(line).1)? = 1;
    }
    let mut level = 0_u8;
    for (width, found) in levels.iter_mut().enumerate() {
        let is_found = *found == 1 && width > 0;
        *found = level.saturating_add(u8::from(is_found));
        level = *found;
    }
    (level < u8::MAX).then_some(levels)
}

/// The bytes of a line's indentation, and what they count.
fn width(line: &[u8]) -> (usize, usize) {
    let blanks = line.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\x0c')).count();
    let count = |byte: &u8| match byte {
        b' ' => 1,
        b'\t' => TAB,
        _ => 0,
    };
    (blanks, line[..blanks].iter().map(count).sum())
}

/// From the start of a line to what stands on it; lines with nothing but a comment are passed over.
fn indentation(bytes: &[u8], start: usize, levels: &Option<[u8; WIDTHS]>, out: &mut Writer<'_>) -> usize {
    let mut at = start;
    loop {
        let (blanks, width) = width(&bytes[at..]);
        let first = at + blanks;
        match bytes.get(first) {
            Some(b'\n' | b'#') => {
                let end = find(bytes, first, b'\n').map_or(bytes.len(), |end| end + 1);
                out.leave_out(at, end, "");
                at = end;
            }
            _ => {
                out.lines.push(out.line);
                if let Some(levels) = levels {
                    out.leave_out(at, first, BLANKS.get(..usize::from(levels[width])).unwrap_or_default());
                }
                return first;
            }
        }
    }
}

const BLANKS: &str = match std::str::from_utf8(&[b' '; WIDTHS]) {
    Ok(blanks) => blanks,
    Err(_) => "",
};

fn find(bytes: &[u8], from: usize, wanted: u8) -> Option<usize> {
    bytes[from..].iter().position(|byte| *byte == wanted).map(|at| from + at)
}

/// Walks over a text that begins with a quote, and returns where it ends.
fn string(bytes: &[u8], start: usize, out: &mut Writer<'_>) -> usize {
    let Some((inside, end)) = text_end(bytes, start) else { return start + 1 };
    if inside.len() > TEXT_MAX && !is_formatted(bytes, start) {
        out.leave_out(inside.start, inside.end, "{");
    } else {
        out.lines_between(inside.start, inside.end);
    }
    end
}

/// Whether expressions may stand in the text: its prefix says so.
fn is_formatted(bytes: &[u8], quote: usize) -> bool {
    let prefix = bytes[..quote].iter().rev().take(3).take_while(|byte| byte.is_ascii_alphabetic());
    prefix.into_iter().any(|byte| matches!(byte, b'f' | b'F' | b't' | b'T'))
}

struct Writer<'a> {
    text: &'a str,
    kept: String,
    /// The line of each line that is kept.
    lines: Vec<u32>,
    line: u32,
    /// What has not been kept or left out yet.
    from: usize,
}

impl Writer<'_> {
    /// All places are those of one-byte characters, so that the text is cut between characters.
    fn leave_out(&mut self, from: usize, to: usize, instead: &str) {
        self.kept.push_str(self.text.get(self.from..from).unwrap_or_default());
        self.kept.push_str(instead);
        self.line += breaks(self.text, from, to);
        self.from = to;
    }

    fn lines_between(&mut self, from: usize, to: usize) {
        for _ in 0..breaks(self.text, from, to) {
            self.line += 1;
            self.lines.push(self.line);
        }
    }

    fn finish(mut self) -> Condensed {
        self.kept.push_str(self.text.get(self.from..).unwrap_or_default());
        Condensed { text: self.kept, lines: self.lines }
    }
}

fn breaks(text: &str, from: usize, to: usize) -> u32 {
    let inside = text.as_bytes().get(from..to).unwrap_or_default();
    inside.iter().filter(|byte| **byte == b'\n').count() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_empty_lines_and_long_texts_are_left_out_and_lines_stay_known() {
        let long = format!("'''first\n{}\nlast'''", "x".repeat(TEXT_MAX));
        let text = format!("a = 1 # one\n\n  # two\nb = {long}\nc = '# none'\n");
        let condensed = condense(&text);
        assert_eq!(condensed.text, "a = 1 \nb = '''{'''\nc = '# none'\n");
        assert_eq!(condensed.lines, [1, 4, 7, 8]);
    }

    #[test]
    fn indentation_keeps_its_order_and_nothing_else() {
        let text = "if a:\n    b\n    if c:\n\td\n            e\n    f\n";
        assert_eq!(condense(text).text, "if a:\n b\n if c:\n  d\n   e\n f\n");
        let wide = format!("{}a\n  b\n", " ".repeat(WIDTHS));
        assert_eq!(condense(&wide).text, wide);
    }

    #[test]
    fn short_and_formatted_texts_stay_as_they_are() {
        let formatted = format!("f'''{{call()}}\n  {}'''\n", "x".repeat(TEXT_MAX));
        for text in ["'''a\n  # b'''\nc\n", "'it\\'s' + \"#\"\n", &formatted, "'open\n"] {
            let condensed = condense(text);
            assert_eq!(condensed.text, text);
            assert_eq!(condensed.lines.len(), text.matches('\n').count() + 1);
        }
        assert_eq!(condense("'it\\'s' # x").text, "'it\\'s' ");
    }
}
