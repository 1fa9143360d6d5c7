//! W3C trace contexts.

use taskhub_core::Trace;

use crate::proto::TraceContext;

/// A trace from outside; one without a parent is none.
#[must_use]
pub fn trace_in(wire: TraceContext) -> Option<Trace> {
    if wire.trace_parent.is_empty() {
        return None;
    }
    Some(Trace { parent: wire.trace_parent.into(), state: wire.trace_state.map(Into::into) })
}

/// A trace for the outside, with the span apart for those who still look there.
#[must_use]
#[expect(deprecated, reason = "older clients read the span from its own field")]
pub fn trace_out(trace: &Trace) -> TraceContext {
    TraceContext {
        trace_parent: trace.parent.to_string(),
        span_id: trace.parent.split('-').nth(2).unwrap_or_default().to_owned(),
        trace_state: trace.state.as_ref().map(ToString::to_string),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_trace_survives_the_way_out_and_back(
            parent in ".{1,60}",
            state in prop::option::of(".*"),
        ) {
            let trace = Trace { parent: parent.into(), state: state.map(Into::into) };
            prop_assert_eq!(trace_in(trace_out(&trace)), Some(trace));
        }
    }

    #[test]
    #[expect(deprecated, reason = "older clients read the span from its own field")]
    fn the_span_is_the_third_part_of_the_parent() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let trace = Trace { parent: parent.into(), state: None };
        assert_eq!(trace_out(&trace).span_id, "b7ad6b7169203331");
    }

    #[test]
    fn a_trace_without_a_parent_is_none() {
        assert_eq!(trace_in(TraceContext::default()), None);
    }
}
