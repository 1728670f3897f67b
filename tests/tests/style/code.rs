//! Rust text with its comments and literals blanked, so that words and braces can be looked for in code alone.
//!
//! Why not a parser: the checks need four facts (which words stand in code, where a block ends, where a function
//! begins, which lines are test code), and those survive without one. Line and column of every character are kept.
//!
//! Limits: code made by macros is read as it is written.

use crate::source::Source;

/// The code of one file, line by line, and which of the lines are test code.
pub struct Code {
    pub lines: Vec<String>,
    test: Vec<bool>,
}

impl Code {
    /// Reads one Rust file.
    pub fn of(file: &Source) -> Self {
        let lines: Vec<String> = masked(&file.text).lines().map(str::to_owned).collect();
        let test = match file.is_test_file() {
            true => vec![true; lines.len()],
            false => test_lines(&lines),
        };
        Self { lines, test }
    }

    /// The numbered lines (from 1) outside test code.
    pub fn shipped(&self) -> impl Iterator<Item = (usize, &str)> {
        let numbered = self.lines.iter().enumerate();
        numbered.filter(|(at, _)| !self.test[*at]).map(|(at, line)| (at + 1, line.as_str()))
    }

    /// The functions that have a body: name, first line and last line, counted from 1.
    pub fn functions(&self) -> Vec<(String, usize, usize)> {
        let mut found = Vec::new();
        for (at, line) in self.lines.iter().enumerate() {
            if let Some((column, name)) = function_name(line)
                && let Some(end) = block_end(&self.lines, at, column)
            {
                found.push((name.to_owned(), at + 1, end + 1));
            }
        }
        found
    }
}

/// Whether `word` stands in `line` with no letter, digit or underscore beside it.
pub fn has_word(line: &str, word: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        !line[..at].chars().next_back().is_some_and(inside) && !line[at + word.len()..].starts_with(inside)
    })
}

fn function_name(line: &str) -> Option<(usize, &str)> {
    line.match_indices("fn ").find_map(|(at, _)| {
        let free = at == 0 || line[..at].ends_with([' ', '(']);
        let rest = &line[at + 3..];
        let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
        (free && !name.is_empty()).then_some((at, name))
    })
}

/// The line where the block that opens after (`line`, `column`) closes; none if a `;` ends the item first.
fn block_end(lines: &[String], line: usize, column: usize) -> Option<usize> {
    let (mut braces, mut brackets) = (0usize, 0usize);
    for (at, text) in lines.iter().enumerate().skip(line) {
        for c in text.chars().skip(if at == line { column } else { 0 }) {
            match c {
                '(' | '[' => brackets += 1,
                ')' | ']' => brackets = brackets.saturating_sub(1),
                ';' if braces == 0 && brackets == 0 => return None,
                '{' => braces += 1,
                '}' if braces == 1 => return Some(at),
                '}' => braces = braces.saturating_sub(1),
                _ => {}
            }
        }
    }
    None
}

fn test_lines(lines: &[String]) -> Vec<bool> {
    let mut test = vec![false; lines.len()];
    for (at, line) in lines.iter().enumerate() {
        let Some(column) = line.find("#[cfg(").or_else(|| line.find("#[test]")) else { continue };
        if test[at] || !has_word(&line[column..], "test") || line.contains("not(test") {
            continue;
        }
        let after = column + line[column..].find(']').unwrap_or(0) + 1;
        let end = block_end(lines, at, after).unwrap_or_else(|| item_end(lines, at));
        test[at..=end].fill(true);
    }
    test
}

/// The line of the first `;` at or after `line`: the end of an item without a block.
fn item_end(lines: &[String], line: usize) -> usize {
    (line..lines.len()).find(|&at| lines[at].contains(';')).unwrap_or(line)
}

/// `text` with every character of comments, strings and character literals replaced by a space.
pub fn masked(text: &str) -> String {
    let mut rest = text;
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        let inside_word = before.is_alphanumeric() || before == '_';
        let skip = literal_or_comment(rest, inside_word);
        if skip == 0 {
            out.push(first);
            before = first;
            rest = &rest[first.len_utf8()..];
        } else {
            out.extend(rest[..skip].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            before = ' ';
            rest = &rest[skip..];
        }
    }
    out
}

/// The length of the comment or literal that `rest` begins with, or 0.
fn literal_or_comment(rest: &str, inside_word: bool) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment(rest);
    }
    if rest.starts_with('\'') {
        return character(rest);
    }
    let prefix = match inside_word {
        true => "",
        false => ["br", "cr", "b", "c", "r"].into_iter().find(|p| rest.starts_with(p)).unwrap_or(""),
    };
    let body = &rest[prefix.len()..];
    let hashes = body.len() - body.trim_start_matches('#').len();
    match body[hashes..].starts_with('"') {
        true if prefix.ends_with('r') => prefix.len() + raw_string(body, hashes),
        true if hashes == 0 => prefix.len() + string(body),
        _ => 0,
    }
}

fn block_comment(rest: &str) -> usize {
    let (mut at, mut depth) = (0, 0);
    while at < rest.len() {
        let step = match rest.as_bytes()[at..] {
            [b'/', b'*', ..] => (2, 1),
            [b'*', b'/', ..] => (2, -1),
            _ => (1, 0),
        };
        at += step.0;
        depth += step.1;
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn string(body: &str) -> usize {
    let mut escaped = false;
    for (at, c) in body.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            _ => escaped = c == '\\' && !escaped,
        }
    }
    body.len()
}

fn raw_string(body: &str, hashes: usize) -> usize {
    let end = format!("\"{}", "#".repeat(hashes));
    body[hashes + 1..].find(&end).map_or(body.len(), |at| hashes + 1 + at + end.len())
}

/// A character literal's length, 0 for a lifetime.
fn character(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some((escaped, _))) => {
            let after = escaped + 1;
            rest.get(after..).and_then(|tail| tail.find('\'')).map_or(0, |at| after + at + 1)
        }
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 0,
    }
}

mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_in_place() {
        let text =
            "let a = \"{ \\\" }\"; // }\nlet b = '{'; /* { /* } */ */ let c: &'static str = r#\"\"}\"#;";
        let mask = masked(text);
        assert_eq!(mask.lines().count(), 2);
        assert_eq!(mask.len(), text.len());
        assert!(!mask.contains(['{', '}']), "{mask}");
        assert!(mask.contains("let c: &'static str"), "{mask}");
    }

    #[test]
    fn escaped_characters_and_byte_strings_are_literals() {
        let mask = masked("f('\\'', '\\u{7b}', b'}', b\"}\", br\"}\", for_r(\"}\"));");
        assert!(!mask.contains(['{', '}']) && mask.contains("for_r("), "{mask}");
    }

    #[test]
    fn words_are_found_whole() {
        assert!(has_word("let x = unsafe { y };", "unsafe"));
        assert!(!has_word("#![forbid(unsafe_code)]", "unsafe"));
    }

    #[test]
    fn functions_have_a_first_and_a_last_line() {
        let text = "trait T {\n    fn sized(a: [u8; 2]);\n}\nfn f(a: fn(u8)) -> u8 {\n    if x {\n    }\n}\n";
        let code = Code::of(&Source::new("host/src/a.rs", text));
        assert_eq!(code.functions(), [("f".to_owned(), 4, 7)]);
    }

    #[test]
    fn test_modules_are_no_shipped_code() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests;\nfn b() {}\n#[cfg(test)]\nmod more {\n    fn c() {}\n}\nfn d() {}";
        let code = Code::of(&Source::new("host/src/a.rs", text));
        let lines: Vec<_> = code.shipped().map(|(line, _)| line).collect();
        assert_eq!(lines, [1, 4, 9]);
    }
}
