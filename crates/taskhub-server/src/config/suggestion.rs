//! What somebody perhaps meant who wrote something unknown.

/// How alike two words must be, from 0 to 1, for one to be taken for a slip of the other.
const ALIKE: f64 = 0.75;

/// The expected name that is most like the unknown one, out of serde's own words for it: ``unknown
/// field `a`, expected one of `b`, `c` ``.
pub(super) fn closest(message: &str) -> Option<String> {
    let mut names = message.split('`').skip(1).step_by(2).map(str::to_owned);
    let unknown = names.next()?;
    most_alike(&unknown, names)
}

/// The known name that is most like the unknown one, if it is like it at all.
pub(crate) fn most_alike(unknown: &str, known: impl Iterator<Item = String>) -> Option<String> {
    let rated = known.map(|name| (strsim::jaro_winkler(unknown, &name), name));
    let best = rated.max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.filter(|(rate, _)| *rate >= ALIKE).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_what_was_meant() {
        let closest = closest("unknown field `lisen`, expected one of `data`, `listen`, `log`");
        assert_eq!(closest.as_deref(), Some("listen"));
    }

    #[test]
    fn something_else_finds_nothing() {
        assert_eq!(closest("unknown field `zebra`, expected `data` or `listen`"), None);
        assert_eq!(closest("expected an equals sign"), None);
    }
}
