//! What a call tells whoever runs it beside the input: labels of the work, kept in the history.

use taskhub_core::{Tags, Text};

/// The key by which runs at the same time are limited.
pub(crate) const KEY: &str = "taskhub.key";

/// How long the run may be silent, in microseconds.
pub(crate) const HEARTBEAT: &str = "taskhub.heartbeat";

/// What the attempt before this one last reported, as JSON.
pub(crate) const PROGRESS: &str = "taskhub.progress";

/// The value of a label.
pub(crate) fn find<'a>(tags: &'a Tags, key: &str) -> Option<&'a Text> {
    let at = tags.binary_search_by(|(known, _)| (**known).cmp(key)).ok()?;
    Some(&tags[at].1)
}

/// Adds a label, or replaces its value.
pub(crate) fn put(tags: &mut Tags, key: &str, value: impl Into<Text>) {
    let others = tags.iter().filter(|(known, _)| **known != *key).cloned();
    let mut all: Vec<_> = others.chain([(key.into(), value.into())]).collect();
    all.sort();
    *tags = all.into();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_found_and_replaced() {
        let mut tags = Tags::default();
        for (key, value) in [(PROGRESS, "1"), (KEY, "a"), (HEARTBEAT, "9"), (PROGRESS, "2")] {
            put(&mut tags, key, value);
        }
        assert_eq!(tags.len(), 3);
        let of = |key| find(&tags, key).map(|value| &**value);
        assert_eq!((of(PROGRESS), of(KEY), of(HEARTBEAT)), (Some("2"), Some("a"), Some("9")));
        assert_eq!(of("else"), None);
    }
}
