//! How much of what somebody else says is taken: names and labels without end are refused.

use std::collections::BTreeMap;

use crate::InvalidMessage;

/// The longest name of a function or an event, the longest version and trace, in bytes.
const NAME_BYTES_MAX: usize = 1_024;

/// All labels of an instance or a call together, in bytes.
const TAGS_BYTES_MAX: usize = 64 << 10;

/// A name, which nothing goes without.
pub fn named(field: &'static str, text: &str) -> Result<(), InvalidMessage> {
    if text.is_empty() {
        return Err(InvalidMessage::Missing { field });
    }
    short(field, text)
}

/// A name, a version or the like, which may be empty.
pub fn short(field: &'static str, text: &str) -> Result<(), InvalidMessage> {
    within(field, text.len(), NAME_BYTES_MAX)
}

/// Labels.
pub fn short_tags(
    field: &'static str,
    tags: &BTreeMap<String, String>,
) -> Result<(), InvalidMessage> {
    let bytes = tags.iter().map(|(key, value)| key.len() + value.len()).sum();
    within(field, bytes, TAGS_BYTES_MAX)
}

/// Something of so many bytes.
pub fn within(field: &'static str, bytes: usize, bytes_max: usize) -> Result<(), InvalidMessage> {
    if bytes > bytes_max {
        return Err(InvalidMessage::TooLong { field, bytes, bytes_max });
    }
    Ok(())
}
