//! What is logged of an instance, as nobody else hears of it.

use taskhub_core::{InstanceId, partition::Warning};

pub(super) fn warn(instance: &InstanceId, warning: &Warning) {
    match warning {
        Warning::Parked(why) => {
            tracing::warn!(%instance, %why, "an instance is parked, until it is mended");
        }
        Warning::SignalFailed(operation, failure) => {
            tracing::warn!(entity = %instance, %operation, %failure, "a signal came to nothing");
        }
        _ => {}
    }
}
