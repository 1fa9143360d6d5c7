//! Failures, with what caused them.

use taskhub_core::Failure;

use crate::{
    details::{details_in, details_out},
    proto::TaskFailureDetails,
};

/// How many causes of a failure are sent: readers of protobuf refuse what is nested deeper than
/// 100 levels, and a failure stands some levels deep itself.
const CAUSES_COUNT_MAX: usize = 30;

/// A failure from outside.
#[must_use]
pub fn failure_in(wire: TaskFailureDetails) -> Failure {
    let mut chain = vec![wire];
    while let Some(cause) = chain.last_mut().and_then(|last| last.inner_failure.take()) {
        chain.push(*cause);
    }
    let mut chain = chain.into_iter().rev().map(alone_in);
    let first = chain.next().unwrap_or_else(|| Failure::new("", ""));
    chain.fold(first, |cause, failure| Failure { cause: Some(Box::new(cause)), ..failure })
}

fn alone_in(wire: TaskFailureDetails) -> Failure {
    Failure {
        kind: wire.error_type.into(),
        message: wire.error_message.into(),
        stack: wire.stack_trace.map(Into::into),
        cause: None,
        non_retriable: wire.is_non_retriable,
        details: details_in(wire.properties),
    }
}

/// A failure for the outside, with its first 30 causes.
#[must_use]
pub fn failure_out(failure: &Failure) -> TaskFailureDetails {
    let causes = std::iter::successors(Some(failure), |failure| failure.cause.as_deref());
    let chain: Vec<_> = causes.take(CAUSES_COUNT_MAX + 1).collect();
    let mut wire = None;
    for failure in chain.into_iter().rev() {
        wire = Some(Box::new(TaskFailureDetails { inner_failure: wire, ..alone_out(failure) }));
    }
    wire.map_or_else(TaskFailureDetails::default, |wire| *wire)
}

fn alone_out(failure: &Failure) -> TaskFailureDetails {
    TaskFailureDetails {
        error_type: failure.kind.to_string(),
        error_message: failure.message.to_string(),
        stack_trace: failure.stack.as_ref().map(ToString::to_string),
        inner_failure: None,
        is_non_retriable: failure.non_retriable,
        properties: details_out(failure.details.as_deref()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;

    fn failures() -> impl Strategy<Value = Failure> {
        let one = (".{0,9}", ".{0,9}", prop::option::of(".{0,9}"), any::<bool>());
        prop::collection::vec(one, 1..9).prop_map(|parts| {
            let mut failure = None;
            for (kind, message, stack, non_retriable) in parts {
                failure = Some(Box::new(Failure {
                    kind: kind.into(),
                    message: message.into(),
                    stack: stack.map(Into::into),
                    cause: failure,
                    non_retriable,
                    details: Some(r#"{"code":7}"#.into()),
                }));
            }
            failure.map_or_else(|| Failure::new("", ""), |failure| *failure)
        })
    }

    proptest! {
        #[test]
        fn a_failure_survives_the_way_out_and_back(failure in failures()) {
            prop_assert_eq!(failure_in(failure_out(&failure)), failure);
        }
    }

    #[test]
    fn a_very_long_chain_of_causes_can_still_be_read_by_the_receiver() {
        let mut failure = Failure::new("Root", "the beginning");
        for number in 0..1_000 {
            let cause = Some(Box::new(failure));
            failure = Failure { cause, ..Failure::new("Step", number.to_string()) };
        }
        let bytes = failure_out(&failure).encode_to_vec();
        let back = TaskFailureDetails::decode(&*bytes).map(failure_in);
        assert_eq!(back.map(|back| back.message.to_string()), Ok("999".to_owned()));
    }
}
