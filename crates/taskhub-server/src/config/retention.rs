//! How long instances are kept after they have ended.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};
use taskhub_core::RuntimeStatus;

/// How long instances are kept after they have ended, by how they did. Absent: for ever.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct RetentionConfig {
    /// Those that returned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed: Option<Age>,
    /// Those that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<Age>,
    /// Those that were terminated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminated: Option<Age>,
    /// Those that were cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canceled: Option<Age>,
}

/// A length of time in words, such as `30d`: a number, and `s`, `m`, `h` or `d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Age(pub Duration);

/// Why a text is no age.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no length of time; write a number and a unit: 90s, 15m, 12h or 30d")]
pub struct InvalidAge(String);

/// The units, largest first, in seconds.
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

impl RetentionConfig {
    /// Each status that has an age.
    pub(crate) fn ages(&self) -> impl Iterator<Item = (RuntimeStatus, Duration)> {
        let all = [
            (RuntimeStatus::Completed, self.completed),
            (RuntimeStatus::Failed, self.failed),
            (RuntimeStatus::Terminated, self.terminated),
            (RuntimeStatus::Canceled, self.canceled),
        ];
        all.into_iter().filter_map(|(status, age)| Some((status, age?.0)))
    }
}

impl FromStr for Age {
    type Err = InvalidAge;

    fn from_str(text: &str) -> Result<Self, InvalidAge> {
        let read = || {
            let unit = text.chars().next_back()?;
            let (_, seconds) = UNITS.into_iter().find(|(known, _)| *known == unit)?;
            let count: u64 = text.strip_suffix(unit)?.parse().ok()?;
            Some(Self(Duration::from_secs(count.checked_mul(seconds)?)))
        };
        read().ok_or_else(|| InvalidAge(text.to_owned()))
    }
}

impl TryFrom<String> for Age {
    type Error = InvalidAge;

    fn try_from(text: String) -> Result<Self, InvalidAge> {
        text.parse()
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let fits = |(_, unit): &(char, u64)| seconds.is_multiple_of(*unit) && seconds >= *unit;
        let (unit, length) = UNITS.into_iter().find(fits).unwrap_or(('s', 1));
        write!(f, "{}{unit}", seconds / length)
    }
}

impl From<Age> for String {
    fn from(age: Age) -> Self {
        age.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_read_as_it_is_shown() {
        for text in ["0s", "90s", "15m", "36h", "30d"] {
            assert_eq!(text.parse::<Age>().map(|age| age.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("60s".parse::<Age>().map(|age| age.to_string()), Ok("1m".to_owned()));
    }

    #[test]
    fn each_end_has_an_age_of_its_own() {
        use RuntimeStatus::{Canceled, Completed, Failed, Terminated};
        let age = |text: &str| text.parse().ok();
        let config = RetentionConfig {
            completed: age("1s"),
            failed: age("2s"),
            terminated: age("3s"),
            canceled: age("4s"),
        };
        let ages: Vec<_> = config.ages().map(|(status, age)| (status, age.as_secs())).collect();
        assert_eq!(ages, [(Completed, 1), (Failed, 2), (Terminated, 3), (Canceled, 4)]);
    }

    #[test]
    fn what_is_no_age_is_refused() {
        for text in ["", "d", "30", "-1d", "1.5h", "1w", "999999999999999999d"] {
            assert!(text.parse::<Age>().is_err(), "{text}");
        }
    }
}
