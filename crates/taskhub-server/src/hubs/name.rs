//! The name of a hub.

use std::{fmt, sync::Arc};

/// The name of a hub: 1 to 64 letters, digits, `-` or `_`, compared as they stand.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HubName(Arc<str>);

/// Why a text cannot name a hub.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name for a hub; a name has 1 to 64 letters, digits, '-' or '_'")]
pub struct InvalidHubName(String);

impl HubName {
    /// The longest name, in characters.
    pub const LENGTH_MAX: usize = 64;

    /// The hub of those who name none.
    pub const DEFAULT: &str = "default";

    /// Checks a name.
    pub fn parse(text: &str) -> Result<Self, InvalidHubName> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if (1..=Self::LENGTH_MAX).contains(&text.len()) && text.chars().all(plain) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidHubName(text.chars().take(Self::LENGTH_MAX + 1).collect()))
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// That of those who name none.
impl Default for HubName {
    fn default() -> Self {
        Self(Self::DEFAULT.into())
    }
}

impl fmt::Display for HubName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for HubName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_lead_out_of_the_folder() {
        for bad in ["", ".", "..", "a/b", "a\\b", "a b", "ü", "a\0", &"x".repeat(65)] {
            assert!(HubName::parse(bad).is_err(), "{bad:?}");
        }
        for good in ["default", "A-1_b", "0", &"x".repeat(64)] {
            assert!(HubName::parse(good).is_ok(), "{good:?}");
        }
    }
}
