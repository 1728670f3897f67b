//! That no counter is left out of the metrics, and that names agree.

use super::families::{DIFFERENCES, Family};
use super::*;
use crate::http::counters::HttpCounters;
use crate::node::counters::Counters;
use crate::transport::counters::Count;
use crate::transport::links;
use std::collections::BTreeSet;

#[test]
fn every_counter_is_told_once() {
    let of_node = [Counters::default().snapshot(), links::Counters::default().snapshot()].concat();
    let of_http = HttpCounters::default().snapshot();
    for (told, counted) in
        [(told(FAMILIES, &[]), names(&of_node)), (told(HTTP_FAMILIES, &DIFFERENCES), names(&of_http))]
    {
        let odd: Vec<_> = told.symmetric_difference(&counted).collect();
        assert!(odd.is_empty(), "in families.rs or counted, and not both: {odd:?}");
    }
}

fn names(counts: &[Count]) -> BTreeSet<&str> {
    let names: BTreeSet<&str> = counts.iter().map(|count| count.name).collect();
    assert_eq!(names.len(), counts.len(), "two counters of one name");
    names
}

fn told(families: &'static [Family], besides: &[&'static str]) -> BTreeSet<&'static str> {
    let all: Vec<&str> =
        families.iter().flat_map(|family| family.values).map(|(_, counter)| *counter).collect();
    let once: BTreeSet<&str> = all.iter().chain(besides).copied().collect();
    assert_eq!(once.len(), all.len() + besides.len(), "a counter is told twice");
    once
}

#[test]
fn every_cause_has_the_name_that_its_json_has() {
    for cause in CauseName::ALL {
        assert_eq!(serde_json::to_value(cause).unwrap(), cause.as_str());
    }
}
