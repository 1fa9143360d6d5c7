//! Which function runs what was started with another version of it.

use std::{cmp::Ordering, future::ready};

use taskhub_core::{
    Text,
    turn::{Orchestration, Run, Scope},
};

use crate::Failure;

/// Which of the functions of one name runs what asks for a version of it.
///
/// Versions are compared by number where they are numbers with dots between them (`1.9` is older
/// than `1.10`), and else as text, without regard to case. Work without a version is the oldest.
///
/// ```
/// use taskhub::{Host, Versions};
///
/// let host = Host::builder().versions(Versions::current_or_older().or_fail());
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Versions {
    rule: Rule,
    fails: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Rule {
    #[default]
    Matching,
    CurrentOrOlder,
    Any,
}

impl Versions {
    /// The function of exactly that version, or else the one without a version, which runs them
    /// all. Where no version is asked for, the only one there is will do. This is the default.
    #[must_use]
    pub const fn matching() -> Self {
        Self { rule: Rule::Matching, fails: false }
    }

    /// As [`matching`](Self::matching), or else the function of the next newer version: what was
    /// started by an older program is run by the code that came next.
    #[must_use]
    pub const fn current_or_older() -> Self {
        Self { rule: Rule::CurrentOrOlder, fails: false }
    }

    /// As [`matching`](Self::matching), or else the function of the newest version: versions are
    /// for people only.
    #[must_use]
    pub const fn any() -> Self {
        Self { rule: Rule::Any, fails: false }
    }

    /// Lets orchestrations of a version that nobody here runs fail, with the kind
    /// [`Failure::VERSION_MISMATCH`]. Otherwise they wait for a program that does. Those that were
    /// begun elsewhere do not fail: they are parked.
    #[must_use]
    pub const fn or_fail(self) -> Self {
        Self { fails: true, ..self }
    }

    pub(crate) fn fails(self) -> bool {
        self.fails
    }

    /// Of these functions, each with its version, the one that will do where none is of exactly the
    /// version that is asked for.
    pub(crate) fn instead<'a, T>(
        self,
        functions: impl Iterator<Item = (Option<&'a str>, T)>,
        asked: Option<&str>,
    ) -> Option<T> {
        let by_version = |one: &(Option<&str>, T), other: &(Option<&str>, T)| order(one.0, other.0);
        let found = match self.rule {
            Rule::Matching => None,
            Rule::CurrentOrOlder => {
                functions.filter(|(version, _)| order(*version, asked).is_ge()).min_by(by_version)
            }
            Rule::Any => functions.max_by(by_version),
        };
        found.map(|(_, function)| function)
    }
}

/// What comes first is older; nothing is the oldest.
fn order(one: Option<&str>, other: Option<&str>) -> Ordering {
    let (one, other) = (one.unwrap_or_default(), other.unwrap_or_default());
    match (numbers(one), numbers(other)) {
        (Some(one), Some(other)) => one.cmp(&other),
        _ => one.to_lowercase().cmp(&other.to_lowercase()),
    }
}

fn numbers(version: &str) -> Option<Vec<u64>> {
    version.split('.').map(|number| number.parse().ok()).collect()
}

/// Runs what is of no version that is here: it fails.
pub(crate) struct Mismatched(pub(crate) &'static str);

impl Orchestration for Mismatched {
    fn begin(&self, _scope: Scope, _input: Option<Text>) -> Run {
        let message = format!(
            "`{}` is not here in the version that was asked for: deploy that one, or allow others \
             by `Host::builder().versions(..)`",
            self.0
        );
        let failure = taskhub_core::Failure::new(Failure::VERSION_MISMATCH, message);
        Box::pin(ready(Err(failure.non_retriable())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number_or_else_as_text() {
        let rising = ["", "1", "1.0", "1.9", "1.10", "2"];
        for pair in rising.windows(2) {
            assert_eq!(order(Some(pair[0]), Some(pair[1])), Ordering::Less, "{pair:?}");
        }
        assert_eq!(order(None, Some("")), Ordering::Equal);
        assert_eq!(order(Some("Beta"), Some("beta")), Ordering::Equal);
        assert_eq!(order(Some("alpha"), Some("Beta")), Ordering::Less);
    }

    #[test]
    fn another_version_will_do_as_the_rule_says() {
        let found = |versions: Versions, asked| {
            let here = [Some("1.2"), Some("1.10"), Some("3")];
            versions.instead(here.map(|version| (version, version.unwrap())).into_iter(), asked)
        };
        for asked in [None, Some("1.3"), Some("4")] {
            assert_eq!(found(Versions::matching(), asked), None);
            assert_eq!(found(Versions::any(), asked), Some("3"));
        }
        let current_or_older = |asked| found(Versions::current_or_older(), asked);
        assert_eq!(current_or_older(None), Some("1.2"));
        assert_eq!(current_or_older(Some("1.3")), Some("1.10"));
        assert_eq!(current_or_older(Some("1.10.1")), Some("3"));
        assert_eq!(current_or_older(Some("4")), None);
    }
}
