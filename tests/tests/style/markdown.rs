//! Markdown as far as the checks need it: which lines are code, what stands in code spans, where links and headings
//! lead.

/// One line of a document, its number from 1, and whether it lies in a fenced block.
pub struct Line<'a> {
    pub number: usize,
    pub fenced: bool,
    pub text: &'a str,
}

/// The lines of a document, fences themselves left out.
pub fn numbered(text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(at, text)| {
        if text.trim_start().starts_with("```") {
            fenced = !fenced;
            return None;
        }
        Some(Line { number: at + 1, fenced, text })
    })
}

/// The code spans of a line.
pub fn spans(line: &str) -> Vec<&str> {
    line.split('`').skip(1).step_by(2).collect()
}

/// The targets of the links and images of a line.
pub fn links(line: &str) -> Vec<&str> {
    let inline = line.match_indices("](").filter_map(|(at, _)| line[at + 2..].split(')').next());
    let reference = line.split_once("]: ").filter(|_| line.starts_with('['));
    let found = inline.chain(reference.map(|(_, target)| target));
    found.filter_map(|target| target.split_whitespace().next()).collect()
}

/// The anchors that the headings of a document give, as GitHub makes them.
pub fn anchors(text: &str) -> Vec<String> {
    let heading = |line: Line<'_>| {
        let title = line.text.trim_start_matches('#');
        (!line.fenced && line.text.starts_with('#') && title.starts_with(' ')).then(|| anchor(title.trim()))
    };
    numbered(text).filter_map(heading).collect()
}

fn anchor(title: &str) -> String {
    let kept = title.to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

mod tests {
    use super::*;

    #[test]
    fn fenced_lines_are_told_from_prose() {
        let lines: Vec<_> =
            numbered("a\n```sh\nb\n```\nc\n").map(|line| (line.number, line.fenced)).collect();
        assert_eq!(lines, [(1, false), (3, true), (5, false)]);
    }

    #[test]
    fn spans_and_links_are_read() {
        assert_eq!(spans("use `a b` or `c`."), ["a b", "c"]);
        assert_eq!(links("[a](b.md#c \"title\") and ![d](e.png)"), ["b.md#c", "e.png"]);
        assert_eq!(links("[a]: ../f.md"), ["../f.md"]);
    }

    #[test]
    fn headings_give_anchors() {
        assert_eq!(anchors("# A b\n## `c` d: E-f\n```\n# g\n```\n#h\n"), ["a-b", "c-d-e-f"]);
    }
}
