//! Labels: a map outside, a list sorted by key inside.

use std::collections::BTreeMap;

use taskhub_core::Tags;

/// Labels from outside.
#[must_use]
pub fn tags_in(wire: BTreeMap<String, String>) -> Tags {
    wire.into_iter().map(|(key, value)| (key.into(), value.into())).collect()
}

/// Labels for the outside.
#[must_use]
pub fn tags_out(tags: &Tags) -> BTreeMap<String, String> {
    tags.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn labels_survive_the_way_in_and_out(
            wire in prop::collection::btree_map(".{0,9}", ".{0,9}", 0..9),
        ) {
            let tags = tags_in(wire.clone());
            prop_assert!(tags.is_sorted());
            prop_assert_eq!(tags_out(&tags), wire);
        }
    }
}
