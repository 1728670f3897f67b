//! The project's own rules of style, checked over the whole tree.
//!
//! A rule is a pure function from files to findings; each stands in a module with small bad examples that it must
//! find, because a check that cannot fail is no check. A finding names file and line and says what to do.
//!
//! What rustfmt, clippy and cargo-deny check is left to them (`make check`).

mod caution;
mod clauses;
mod code;
mod layers;
mod layout;
mod links;
mod lockfile;
mod markdown;
mod shape;
mod source;
mod words;

use source::{Finding, Source, tree};

fn demand_of_each(rule: impl Fn(&Source) -> Vec<Finding>) {
    demand_of_all(|tree| tree.iter().flat_map(&rule).collect());
}

fn demand_of_all(rule: impl Fn(&[Source]) -> Vec<Finding>) {
    let found: Vec<String> = rule(&tree()).iter().map(Finding::to_string).collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn files_hold_one_concept() {
    demand_of_each(shape::long_file);
}

#[test]
fn functions_fit_in_view() {
    demand_of_each(shape::long_functions);
}

#[test]
fn every_rust_file_begins_with_its_header() {
    demand_of_each(shape::missing_header);
}

#[test]
fn module_names_say_what_is_inside() {
    demand_of_each(shape::empty_names);
}

#[test]
fn nothing_is_unfinished() {
    demand_of_each(words::unfinished);
}

#[test]
fn no_file_names_a_path_of_one_machine() {
    demand_of_each(words::machine_paths);
}

#[test]
fn no_file_names_a_registry_host() {
    demand_of_each(words::registry_hosts);
}

#[test]
fn only_tests_unwrap() {
    demand_of_each(caution::unwraps);
}

#[test]
fn unsafe_code_says_why_it_is_sound() {
    demand_of_each(caution::unexplained_unsafe);
    demand_of_each(caution::unsafe_in_protocol);
}

#[test]
fn dependencies_point_one_way() {
    demand_of_each(layers::edges);
    demand_of_each(layers::enclave_in_host);
}

#[test]
fn rules_do_no_input_or_output() {
    demand_of_each(layers::impure_rules);
}

#[test]
fn the_enclave_crate_simulates_nothing() {
    demand_of_each(layers::simulation_in_enclave);
}

#[test]
fn the_lock_file_holds_no_banned_crate() {
    demand_of_each(lockfile::locked);
}

#[test]
fn the_top_of_the_tree_stays_short() {
    demand_of_all(layout::top_entries);
}

#[test]
fn make_help_lists_every_target() {
    demand_of_each(layout::silent_targets);
}

#[test]
fn documents_name_targets_that_exist() {
    demand_of_all(layout::unknown_targets);
}

#[test]
fn links_between_documents_lead_somewhere() {
    demand_of_all(links::dead_links);
}

#[test]
fn every_clause_of_the_protocol_has_a_test() {
    demand_of_all(clauses::uncited);
}
