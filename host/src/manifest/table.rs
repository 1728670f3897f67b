//! Taking typed values out of a TOML table, noting every fault instead of stopping at the first, and noticing what
//! nobody took.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{Fault, FaultKind};

/// The text of a manifest and the faults found in it so far.
#[derive(Debug)]
pub(super) struct Findings<'t> {
    text: &'t str,
    faults: Vec<Fault>,
}

impl<'t> Findings<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Findings { text, faults: Vec::new() }
    }

    /// The line of a byte of the text, from 1 on.
    pub(super) fn line(&self, offset: usize) -> usize {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }

    pub(super) fn note(&mut self, line: usize, what: FaultKind) {
        self.faults.push(Fault { line, what });
    }

    /// Every fault, by line, each once.
    pub(super) fn finish(mut self) -> Vec<Fault> {
        self.faults.sort_by_key(|fault| fault.line);
        self.faults.dedup();
        self.faults
    }
}

/// A value and the line it stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At<T> {
    pub(super) line: usize,
    pub(super) value: T,
}

impl<T> At<T> {
    pub(super) fn map<U>(self, convert: impl FnOnce(T) -> U) -> At<U> {
        At { line: self.line, value: convert(self.value) }
    }
}

/// A table of which each known key is taken once.
#[derive(Debug)]
pub(super) struct Table<'a> {
    entries: BTreeMap<&'a str, (usize, &'a DeValue<'a>)>,
    known: Vec<&'static str>,
    prefix: &'static str,
    /// Where the table begins.
    pub(super) line: usize,
}

impl<'a> Table<'a> {
    /// A table whose keys are named behind `prefix`.
    pub(super) fn new(
        table: &'a DeTable<'a>,
        prefix: &'static str,
        line: usize,
        findings: &Findings<'_>,
    ) -> Self {
        let entry = |(key, value): (&'a Spanned<_>, &'a Spanned<DeValue<'a>>)| {
            let name: &std::borrow::Cow<'a, str> = key.get_ref();
            (name.as_ref(), (findings.line(key.span().start), value.get_ref()))
        };
        Table { entries: table.iter().map(entry).collect(), known: Vec::new(), prefix, line }
    }

    /// The full name of a key.
    pub(super) fn name(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// Whether a key is there and was not taken yet.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Takes a value of any type.
    pub(super) fn take(&mut self, key: &'static str) -> Option<At<&'a DeValue<'a>>> {
        self.known.push(key);
        self.entries.remove(key).map(|(line, value)| At { line, value })
    }

    /// Takes a text that may be missing.
    pub(super) fn text(&mut self, key: &'static str, findings: &mut Findings<'_>) -> Option<At<&'a str>> {
        self.typed(key, "a text in quotes", DeValue::as_str, findings)
    }

    /// Takes a truth value that may be missing.
    pub(super) fn truth(&mut self, key: &'static str, findings: &mut Findings<'_>) -> Option<At<bool>> {
        self.typed(key, "true or false", DeValue::as_bool, findings)
    }

    /// Takes a number that may be missing.
    pub(super) fn number(
        &mut self,
        key: &'static str,
        (min, max): (u64, u64),
        findings: &mut Findings<'_>,
    ) -> Option<At<u64>> {
        let number = self.typed(key, "a whole number", DeValue::as_integer, findings)?;
        let value = u64::from_str_radix(number.value.as_str(), number.value.radix()).ok();
        match value.filter(|value| (min..=max).contains(value)) {
            Some(value) => Some(number.map(|_| value)),
            None => {
                findings.note(number.line, FaultKind::Range { key: self.name(key), min, max });
                None
            }
        }
    }

    /// Takes a number of any size that may be missing.
    pub(super) fn any_number(&mut self, key: &'static str, findings: &mut Findings<'_>) -> Option<At<u64>> {
        self.number(key, (0, i64::MAX as u64), findings)
    }

    /// Takes tables of the same kind, `[[key]]`.
    pub(super) fn tables(
        &mut self,
        key: &'static str,
        prefix: &'static str,
        findings: &mut Findings<'_>,
    ) -> Option<At<Vec<Table<'a>>>> {
        let array = self.typed(key, "a list of tables", DeValue::as_array, findings)?;
        let mut tables = Vec::new();
        for entry in array.value.iter() {
            let line = findings.line(entry.span().start);
            match entry.get_ref().as_table() {
                Some(table) => tables.push(Table::new(table, prefix, line, findings)),
                None => self.other_type(key, line, "a list of tables", entry.get_ref(), findings),
            }
        }
        Some(array.map(|_| tables))
    }

    /// Takes a table, `[key]`.
    pub(super) fn table(
        &mut self,
        key: &'static str,
        prefix: &'static str,
        findings: &mut Findings<'_>,
    ) -> Option<Table<'a>> {
        let table = self.typed(key, "a table", DeValue::as_table, findings)?;
        Some(Table::new(table.value, prefix, table.line, findings))
    }

    /// Notes that a key has to be there.
    pub(super) fn missing(&self, key: &str, findings: &mut Findings<'_>) {
        findings.note(self.line, FaultKind::Missing { key: self.name(key) });
    }

    /// Notes a value of another type.
    pub(super) fn other_type(
        &self,
        key: &str,
        line: usize,
        expected: &'static str,
        found: &DeValue<'_>,
        findings: &mut Findings<'_>,
    ) {
        findings.note(line, FaultKind::Type { key: self.name(key), expected, found: type_name(found) });
    }

    /// Refuses the keys that nobody took.
    pub(super) fn finish(self, findings: &mut Findings<'_>) {
        for (key, (line, _)) in &self.entries {
            let meant = self.known.iter().copied().find(|known| is_like(key, known));
            let key = self.name(key).chars().take(60).collect();
            findings.note(*line, FaultKind::Unknown { key, meant });
        }
    }

    fn typed<T>(
        &mut self,
        key: &'static str,
        expected: &'static str,
        read: impl FnOnce(&'a DeValue<'a>) -> Option<T>,
        findings: &mut Findings<'_>,
    ) -> Option<At<T>> {
        let At { line, value } = self.take(key)?;
        let typed = read(value);
        if typed.is_none() {
            self.other_type(key, line, expected, value, findings);
        }
        typed.map(|value| At { line, value })
    }
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "a truth value",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Whether a key looks like a misspelling of another: the same but for case and one letter more, less or other.
fn is_like(found: &str, known: &str) -> bool {
    let (found, known) = (found.to_lowercase(), known.to_lowercase());
    let same_start = found.bytes().zip(known.bytes()).take_while(|(a, b)| a == b).count();
    let (rest, other) = (&found.as_bytes()[same_start..], &known.as_bytes()[same_start..]);
    let ends = |a: &[u8], b: &[u8]| a.get(1..).is_some_and(|a| a == b);
    let shorter_or_longer = ends(rest, other) || ends(other, rest);
    rest == other || shorter_or_longer || (!rest.is_empty() && !other.is_empty() && rest[1..] == other[1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wrong_letter_is_a_misspelling_and_another_word_is_none() {
        for (found, known) in [("leases", "lease"), ("lese", "lease"), ("leave", "leave"), ("pcr0", "PCR0")] {
            assert!(is_like(found, known), "{found} {known}");
        }
        assert!(is_like("policx", "policy") && !is_like("name", "lease") && !is_like("", "epoch"));
    }

    #[test]
    fn lines_are_counted_from_one() {
        let findings = Findings::new("a\nb\n\nc");
        assert_eq!([0, 1, 2, 4, 5, 99].map(|offset| findings.line(offset)), [1, 1, 2, 3, 4, 4]);
    }
}
