//! Quorum arithmetic (DESIGN §1): q = floor((n + f) / 2) + 1, so any two quorums share f + 1 voters.

/// The quorum of `n` voters of which `f` may be Byzantine.
pub fn quorum(n: usize, f: usize) -> usize {
    (n + f) / 2 + 1
}

/// The most Byzantine voters that `n` voters can tolerate: floor((n - 1) / 3).
pub fn default_f(n: usize) -> usize {
    n.saturating_sub(1) / 3
}

/// Whether `n` voters suffice for `f` Byzantine ones: n >= 3f + 1.
pub fn tolerates(n: usize, f: usize) -> bool {
    f.checked_mul(3).and_then(|three| three.checked_add(1)).is_some_and(|least| n >= least)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, counted out: the least q such that every two sets of q share at least f + 1.
    fn least_with_overlap(n: usize, f: usize) -> usize {
        (1..=n).find(|q| (2 * q).saturating_sub(n) > f).expect("all of n overlap in n")
    }

    #[test]
    fn the_formula_is_the_least_quorum_whose_pairs_share_an_honest_voter() {
        for n in 1..=128 {
            for f in (0..n).filter(|f| tolerates(n, *f)) {
                assert_eq!(quorum(n, f), least_with_overlap(n, f), "n = {n}, f = {f}");
                assert!(quorum(n, f) <= n - f, "n = {n}, f = {f}: honest voters alone are a quorum");
                assert!(quorum(n, f) > 2 * f, "n = {n}, f = {f}: q >= 2f + 1");
            }
        }
    }

    #[test]
    fn the_default_tolerates_a_third() {
        let table = [(1, 0), (3, 0), (4, 1), (6, 1), (7, 2), (10, 3)];
        for (n, f) in table {
            assert_eq!(default_f(n), f);
            assert!(tolerates(n, f) && !tolerates(n, f + 1));
        }
    }
}
