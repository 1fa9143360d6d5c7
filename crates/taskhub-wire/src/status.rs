//! Statuses: the core uses the numbers of the protocol.

use taskhub_core::RuntimeStatus;

use crate::{InvalidMessage, proto::OrchestrationStatus};

/// A status from outside; `field` says where it stood.
pub fn status_in(field: &'static str, number: i32) -> Result<RuntimeStatus, InvalidMessage> {
    let known = u8::try_from(number).ok().and_then(RuntimeStatus::from_number);
    known.ok_or(InvalidMessage::Status { field, number })
}

/// Statuses from outside, each once; `field` says where they stood.
pub fn statuses_in(
    field: &'static str,
    numbers: &[i32],
) -> Result<Vec<RuntimeStatus>, InvalidMessage> {
    let mut statuses = Vec::new();
    for number in numbers {
        let status = status_in(field, *number)?;
        if !statuses.contains(&status) {
            statuses.push(status);
        }
    }
    Ok(statuses)
}

/// A status for the outside.
#[must_use]
pub fn status_out(status: RuntimeStatus) -> OrchestrationStatus {
    match status {
        RuntimeStatus::Running => OrchestrationStatus::Running,
        RuntimeStatus::Completed => OrchestrationStatus::Completed,
        RuntimeStatus::ContinuedAsNew => OrchestrationStatus::ContinuedAsNew,
        RuntimeStatus::Failed => OrchestrationStatus::Failed,
        RuntimeStatus::Canceled => OrchestrationStatus::Canceled,
        RuntimeStatus::Terminated => OrchestrationStatus::Terminated,
        RuntimeStatus::Pending => OrchestrationStatus::Pending,
        RuntimeStatus::Suspended => OrchestrationStatus::Suspended,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_status_survives_the_way_out_and_back() {
        for status in RuntimeStatus::ALL {
            assert_eq!(status_in("s", status_out(status) as i32), Ok(status));
        }
    }

    proptest! {
        #[test]
        fn a_number_is_a_status_or_refused(number: i32) {
            prop_assert_eq!(status_in("s", number).is_ok(), (0..8).contains(&number));
        }

        #[test]
        fn a_status_named_twice_counts_once(numbers in prop::collection::vec(0..8i32, 0..50)) {
            let statuses = statuses_in("s", &numbers).map(|statuses| statuses.len());
            prop_assert!(statuses.is_ok_and(|count| count <= 8 && count <= numbers.len()));
        }
    }
}
