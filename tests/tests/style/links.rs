//! Links between documents: each leads to a file of the tree, and to a heading in it where it names one.

use crate::markdown::{anchors, links, numbered};
use crate::source::{Finding, Source};

/// Links inside the repository that lead nowhere.
pub fn dead_links(tree: &[Source]) -> Vec<Finding> {
    tree.iter().filter(|file| file.path.ends_with(".md")).flat_map(|file| dead_in(file, tree)).collect()
}

fn dead_in(file: &Source, tree: &[Source]) -> Vec<Finding> {
    let prose = numbered(&file.text).filter(|line| !line.fenced);
    let inside = |target: &&str| !target.contains("://") && !target.starts_with("mailto:");
    let linked = prose.flat_map(|line| links(line.text).into_iter().map(move |target| (line.number, target)));
    let dead = linked.filter(|(_, target)| inside(target) && !leads(file, target, tree));
    dead.map(|(line, target)| file.finding(line, format!("the link `{target}` leads nowhere: correct it")))
        .collect()
}

fn leads(from: &Source, target: &str, tree: &[Source]) -> bool {
    let (path, heading) = target.split_once('#').unwrap_or((target, ""));
    let wanted = if path.is_empty() { from.path.clone() } else { resolve(&from.path, path) };
    let folder = format!("{}/", wanted.trim_end_matches('/'));
    match tree.iter().find(|file| file.path == wanted) {
        Some(file) => heading.is_empty() || anchors(&file.text).iter().any(|anchor| anchor == heading),
        None => heading.is_empty() && tree.iter().any(|file| file.path.starts_with(&folder)),
    }
}

/// `path`, which is relative to the folder of `from`, from the root of the tree.
fn resolve(from: &str, path: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

mod tests {
    use super::*;

    fn found(link: &str) -> usize {
        let tree = [
            Source::new("README.md", "# Start here\n"),
            Source::new("docs/B.md", "# Two words\n"),
            Source::new("docs/A.md", &format!("# Own\n\nsee [it]({link})\n")),
        ];
        let found = dead_links(&tree);
        assert!(found.iter().all(|finding| finding.path == "docs/A.md" && finding.line == 3));
        found.len()
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        for link in ["C.md", "../B.md", "B.md#three-words", "#other", "../tests/", "../docs#own"] {
            assert_eq!(found(link), 1, "{link}");
        }
    }

    #[test]
    fn a_link_that_leads_somewhere_passes() {
        for link in [
            "B.md",
            "./B.md#two-words",
            "#own",
            "../README.md#start-here",
            "../docs/",
            "https://example.org/x",
        ] {
            assert_eq!(found(link), 0, "{link}");
        }
    }
}
