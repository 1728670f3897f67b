//! The shape of Rust files: how long they and their functions are, how they begin, what their modules are called.

use crate::code::{Code, has_word};
use crate::source::{Finding, Source};

/// A file that holds one concept fits; one that swallowed several does not.
const FILE_LINES_MAX: usize = 400;
/// A function that a reader can hold in view.
const FUNCTION_LINES_MAX: usize = 70;
/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 7] = ["utils", "util", "helpers", "helper", "common", "misc", "types"];

/// A Rust file over the limit.
pub fn long_file(file: &Source) -> Vec<Finding> {
    let lines = file.text.lines().count();
    let fault = format!("{lines} lines, {FILE_LINES_MAX} at most: split it by concept, a file for each");
    if file.is_rust() && lines > FILE_LINES_MAX { vec![file.finding(lines, fault)] } else { Vec::new() }
}

/// Functions over the limit, from signature to closing brace.
pub fn long_functions(file: &Source) -> Vec<Finding> {
    if !file.is_rust() {
        return Vec::new();
    }
    let functions = Code::of(file).functions().into_iter();
    let long = functions.filter(|(_, first, last)| last - first >= FUNCTION_LINES_MAX);
    long.map(|(name, first, last)| {
        let lines = last - first + 1;
        file.finding(
            first,
            format!("`{name}` has {lines} lines, {FUNCTION_LINES_MAX} at most: name its steps"),
        )
    })
    .collect()
}

/// A Rust file that does not begin with its `//!` header.
pub fn missing_header(file: &Source) -> Vec<Finding> {
    let first = file.text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    if !file.is_rust() || first.starts_with("//!") {
        return Vec::new();
    }
    vec![file.finding(1, "no header: begin with `//!` lines that give purpose, why, invariants, limits")]
}

/// A module, by file, folder or `mod`, whose name says nothing.
pub fn empty_names(file: &Source) -> Vec<Finding> {
    if !file.is_rust() {
        return Vec::new();
    }
    let fault = |name: &str| format!("a module called `{name}`: name it after what it holds");
    let parts = file.path.trim_end_matches(".rs").split('/');
    let by_path = parts.filter(|part| EMPTY_NAMES.contains(part)).map(|name| file.finding(1, fault(name)));
    let code = Code::of(file);
    let by_word = code.lines.iter().enumerate().flat_map(|(at, line)| {
        let named = EMPTY_NAMES.iter().filter(move |name| has_word(line, &format!("mod {name}")));
        named.map(move |name| file.finding(at + 1, fault(name)))
    });
    by_path.chain(by_word).collect()
}

mod tests {
    use super::*;

    fn rust(text: &str) -> Source {
        Source::new("host/src/a.rs", text)
    }

    #[test]
    fn a_file_of_401_lines_is_found() {
        assert!(long_file(&rust(&"x\n".repeat(400))).is_empty());
        let found = long_file(&rust(&"x\n".repeat(401)));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].line, 401);
    }

    #[test]
    fn a_function_of_71_lines_is_found() {
        let function = |lines: usize| rust(&format!("\nfn f() {{\n{}}}\n", "    x;\n".repeat(lines - 2)));
        assert!(long_functions(&function(70)).is_empty());
        let found = long_functions(&function(71));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].line, 2);
        assert!(found[0].fault.contains("`f` has 71 lines"), "{}", found[0]);
    }

    #[test]
    fn a_file_without_header_is_found() {
        assert!(missing_header(&rust("//! Why.\nfn f() {}\n")).is_empty());
        assert_eq!(missing_header(&rust("// Why.\nfn f() {}\n")).len(), 1);
        assert_eq!(missing_header(&rust("")).len(), 1);
    }

    #[test]
    fn an_empty_name_is_found_in_paths_and_modules() {
        assert!(empty_names(&rust("mod tally;\n// mod misc;\n")).is_empty());
        assert_eq!(empty_names(&rust("mod tally;\npub mod misc {\n}\n"))[0].line, 2);
        assert_eq!(empty_names(&Source::new("host/src/common/mod.rs", "")).len(), 1);
        assert_eq!(empty_names(&Source::new("host/src/utils.rs", "")).len(), 1);
    }
}
