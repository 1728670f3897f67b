//! The words of a manifest for policies, preferences and observers.

use nitro_elect_protocol::policy::{Prefer, Rule};

/// The words for policies.
pub static RULES: [(&str, Rule); 4] = [
    ("priority", Rule::Priority),
    ("highest", Rule::Highest),
    ("rotate", Rule::Rotate),
    ("lottery", Rule::Lottery),
];
/// The words for what happens when a voter of higher weight is there.
pub static PREFERENCES: [(&str, Prefer); 2] = [("stay", Prefer::Stay), ("return", Prefer::Return)];
/// The word for no observers.
pub(super) const OFF: &str = "off";

/// The policy that a word names.
pub fn rule_of(word: &str) -> Option<Rule> {
    meaning(&RULES, word)
}

/// The preference that a word names.
pub fn prefer_of(word: &str) -> Option<Prefer> {
    meaning(&PREFERENCES, word)
}

/// The word for a policy.
pub fn rule_word(rule: Rule) -> &'static str {
    word_for(&RULES, &rule)
}

/// The word for a preference.
pub fn prefer_word(prefer: Prefer) -> &'static str {
    word_for(&PREFERENCES, &prefer)
}

/// What a word means.
pub(super) fn meaning<T: Copy>(words: &[(&str, T)], word: &str) -> Option<T> {
    words.iter().find(|(known, _)| *known == word).map(|(_, meaning)| *meaning)
}

/// The word for something.
pub(super) fn word_for<T: PartialEq>(words: &'static [(&'static str, T)], meaning: &T) -> &'static str {
    words.iter().find(|(_, known)| known == meaning).expect("the list of words is complete").0
}

/// All the words, for people.
pub(super) fn list<T>(words: &[(&str, T)]) -> String {
    words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ")
}
