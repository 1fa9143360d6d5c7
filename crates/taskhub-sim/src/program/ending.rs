//! Why simulated instances are ended by others: the reason says whether their children end too.

use taskhub_core::Text;

/// The reason that somebody gives.
pub(crate) fn why_ended(by: &str, recursive: bool) -> Text {
    format!("{by}{}", if recursive { ALL } else { "" }).into()
}

/// Whether children end too, for this reason: also when a deadline is over.
pub(crate) fn ends_all(reason: &str) -> bool {
    reason.ends_with(ALL) || reason.starts_with("it did not end within")
}

const ALL: &str = ", with its children";
