//! The clauses of docs/PROTOCOL.md and the tests that cite them: every clause has a test, every citation a clause.
//!
//! A clause is a list item that begins with its number in bold. A citation is a line `/// PROTOCOL V2` (or
//! `/// PROTOCOL V2, L3`) among the lines right before a test.

use crate::source::{Finding, Source};
use std::collections::BTreeSet;

const PAGE: &str = "docs/PROTOCOL.md";
const CITES: &str = "/// PROTOCOL ";

/// Clauses that no test cites, clauses that stand twice, and citations of none or before no test.
pub fn uncited(tree: &[Source]) -> Vec<Finding> {
    let Some(page) = tree.iter().find(|file| file.path == PAGE) else { return Vec::new() };
    let clauses = clauses(page);
    let known: BTreeSet<&str> = clauses.iter().map(|(_, number)| *number).collect();
    let citations: Vec<(&Source, Citation)> = tree
        .iter()
        .flat_map(|file| citations(file).into_iter().map(move |citation| (file, citation)))
        .collect();
    let cited: BTreeSet<&str> = citations
        .iter()
        .filter(|(_, citation)| citation.is_of_a_test)
        .map(|(_, citation)| citation.number)
        .collect();

    let mut found = Vec::new();
    for (at, (line, number)) in clauses.iter().enumerate() {
        if clauses[..at].iter().any(|(_, earlier)| earlier == number) {
            found.push(page.finding(*line, format!("clause {number} stands twice: number it anew")));
        } else if !cited.contains(number) {
            found.push(
                page.finding(
                    *line,
                    format!("no test cites clause {number}: write one, with `{CITES}{number}`"),
                ),
            );
        }
    }
    for (file, Citation { line, number, is_of_a_test }) in citations {
        if !known.contains(number) {
            found.push(
                file.finding(line, format!("there is no clause {number} in {PAGE}: correct the citation")),
            );
        } else if !is_of_a_test {
            found.push(file.finding(line, "a citation before no test: move it right before `#[test]`"));
        }
    }
    found
}

struct Citation<'a> {
    line: usize,
    number: &'a str,
    is_of_a_test: bool,
}

/// The clauses of the page: line and number.
fn clauses(page: &Source) -> Vec<(usize, &str)> {
    let lines = page.text.lines().enumerate();
    lines
        .filter_map(|(at, line)| {
            let number = line.strip_prefix("* **")?.split("**").next()?;
            is_number(number).then_some((at + 1, number))
        })
        .collect()
}

/// A capital letter and digits.
fn is_number(text: &str) -> bool {
    let digits = text.trim_start_matches(|c: char| c.is_ascii_uppercase());
    text.len() == digits.len() + 1 && !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())
}

fn citations(file: &Source) -> Vec<Citation<'_>> {
    if !file.is_rust() {
        return Vec::new();
    }
    let lines: Vec<&str> = file.text.lines().map(str::trim).collect();
    let citing = lines.iter().enumerate().filter_map(|(at, line)| Some((at, line.strip_prefix(CITES)?)));
    let each = citing.flat_map(|(at, numbers)| {
        let is_of_a_test = is_before_a_test(&lines[at..]);
        numbers.split(',').map(move |number| Citation { line: at + 1, number: number.trim(), is_of_a_test })
    });
    each.collect()
}

/// Whether `#[test]`, or tokio's, follows after nothing but documentation and other attributes.
fn is_before_a_test(lines: &[&str]) -> bool {
    let mut before = lines.iter().take_while(|line| line.starts_with("///") || line.starts_with("#["));
    before.any(|line| *line == "#[test]" || line.starts_with("#[tokio::test"))
}

mod tests {
    use super::*;

    fn found(test: &str) -> Vec<String> {
        let page = "# P\n\n* **A1** One.\n* **A2** Two\n  lines, **A3** in one.\n";
        let both = format!("/// PROTOCOL A1\n#[test]\nfn a() {{}}\n\n{test}");
        let tree = [Source::new(PAGE, page), Source::new("tests/tests/a.rs", &both)];
        uncited(&tree).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn a_clause_without_a_test_is_found() {
        let found = found("#[test]\nfn b() {}\n");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("docs/PROTOCOL.md:4: no test cites clause A2"), "{found:?}");
    }

    #[test]
    fn a_citation_of_no_clause_is_found() {
        let found = found("/// PROTOCOL A2, A3\n#[test]\nfn b() {}\n");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("tests/tests/a.rs:5: there is no clause A3"), "{found:?}");
    }

    #[test]
    fn a_citation_before_no_test_is_found_and_cites_nothing() {
        let found = found("/// PROTOCOL A2\nfn b() {}\n");
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[1].starts_with("tests/tests/a.rs:5: a citation before no test"), "{found:?}");
    }

    #[test]
    fn a_clause_that_stands_twice_is_found() {
        let tree = [Source::new(PAGE, "* **A1** One.\n* **A1** Again.\n")];
        let found = uncited(&tree);
        assert!(found.iter().any(|finding| finding.line == 2 && finding.fault.contains("twice")));
    }

    #[test]
    fn clauses_and_citations_that_match_pass() {
        assert!(
            found("/// PROTOCOL A2\n/// With a word of explanation.\n    #[test]\nfn b() {}\n").is_empty()
        );
    }
}
