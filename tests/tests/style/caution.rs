//! Code that can take a process down or break memory safety: each place carries its reason, or is not there.

use crate::code::{Code, has_word};
use crate::source::{Finding, Source};

/// `.unwrap()` outside tests.
pub fn unwraps(file: &Source) -> Vec<Finding> {
    if !file.is_rust() {
        return Vec::new();
    }
    let fault = "`unwrap` outside tests: return an error, or `expect` a reason that can be checked here";
    let code = Code::of(file);
    let hits = code.shipped().filter(|(_, line)| line.contains(".unwrap()"));
    hits.map(|(line, _)| file.finding(line, fault)).collect()
}

/// `unsafe` with no `// SAFETY:` (or, for a declaration, `# Safety`) directly above it.
pub fn unexplained_unsafe(file: &Source) -> Vec<Finding> {
    if !file.is_rust() {
        return Vec::new();
    }
    let fault = "`unsafe` with no `// SAFETY:` above it: say why it is sound, or do without";
    let text: Vec<&str> = file.text.lines().collect();
    let code = Code::of(file);
    let hits = code.lines.iter().enumerate().filter(|(_, line)| has_word(line, "unsafe"));
    hits.filter(|(at, _)| !explained(&text[..*at])).map(|(at, _)| file.finding(at + 1, fault)).collect()
}

/// `unsafe` anywhere in the crate that forbids it.
pub fn unsafe_in_protocol(file: &Source) -> Vec<Finding> {
    if !file.is_rust() || !file.path.starts_with("protocol/") {
        return Vec::new();
    }
    let fault = "`unsafe` in `protocol`, which forbids it: find another way";
    let code = Code::of(file);
    let hits = code.lines.iter().enumerate().filter(|(_, line)| has_word(line, "unsafe"));
    hits.map(|(at, _)| file.finding(at + 1, fault)).collect()
}

/// Whether the comment block that `above` ends with, past attributes and the head of the statement, explains.
fn explained(above: &[&str]) -> bool {
    let is_comment = |line: &str| line.starts_with("//");
    let lines = above.iter().rev().map(|line| line.trim());
    let past_head = lines.skip_while(|line| line.starts_with("#[") || line.ends_with(['=', '(']));
    let mut comment = past_head.take_while(|line| is_comment(line));
    comment.any(|line| line.contains("SAFETY:") || line.contains("# Safety"))
}

mod tests {
    use super::*;

    fn rust(text: &str) -> Source {
        Source::new("host/src/a.rs", text)
    }

    #[test]
    fn an_unwrap_outside_tests_is_found() {
        let text =
            "fn f() {\n    g().unwrap();\n}\n#[cfg(test)]\nmod tests {\n    fn t() { g().unwrap(); }\n}\n";
        let found = unwraps(&rust(text));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].line, 2);
        assert!(unwraps(&rust("// .unwrap()\nfn f() { g().unwrap_or(1); }")).is_empty());
    }

    #[test]
    fn unsafe_without_a_reason_is_found() {
        assert_eq!(unexplained_unsafe(&rust("let a = 1;\nlet b = unsafe { g() };\n"))[0].line, 2);
        assert_eq!(unexplained_unsafe(&rust("// SAFETY: g.\n\nlet b = unsafe { g() };\n")).len(), 1);
    }

    #[test]
    fn unsafe_with_its_reason_passes() {
        for text in [
            "// SAFETY: `g` has no preconditions\n// on this system.\nlet b = unsafe { g() };\n",
            "// SAFETY: as above.\nlet b =\n    unsafe { g() };\n",
            "/// # Safety\n/// Call it once.\n#[inline]\npub unsafe fn f() {}\n",
            "// unsafe\nlet b = \"unsafe\";\n#![forbid(unsafe_code)]\n",
        ] {
            assert!(unexplained_unsafe(&rust(text)).is_empty(), "{text}");
        }
    }

    #[test]
    fn unsafe_in_protocol_is_found_even_with_a_reason() {
        let text = "// SAFETY: sound.\nlet b = unsafe { g() };\n";
        assert_eq!(unsafe_in_protocol(&Source::new("protocol/src/a.rs", text)).len(), 1);
        assert!(unsafe_in_protocol(&rust(text)).is_empty());
    }
}
