//! The place of an instance in the trace of whoever started it.
//!
//! The ids of its spans follow from its execution, so nobody has to remember them: a turn that is
//! run again, on another node, names the same ones.

use crate::{CallId, ExecutionId, Text};

/// Where the span of the parent stands in a `traceparent`, as W3C has it.
const SPAN: std::ops::Range<usize> = 36..52;

/// How long a `traceparent` is at least.
const LENGTH: usize = 55;

/// A W3C trace context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The `traceparent` header.
    pub parent: Text,
    /// The `tracestate` header.
    pub state: Option<Text>,
}

impl Trace {
    /// The same trace with another span as the parent. What is no `traceparent` stays as it is.
    #[must_use]
    pub fn within(&self, span: u64) -> Self {
        let text = &self.parent;
        if text.len() < LENGTH || !text.is_ascii() {
            return self.clone();
        }
        let parent = format!("{}{span:016x}{}", &text[..SPAN.start], &text[SPAN.end..]);
        Self { parent: parent.into(), state: self.state.clone() }
    }
}

impl ExecutionId {
    /// The id of the span that is this execution.
    #[must_use]
    pub fn span(self) -> u64 {
        self.nth_span(4 << 32)
    }

    /// The id of the span that is a call of this execution.
    #[must_use]
    pub fn span_of_call(self, call: CallId) -> u64 {
        self.nth_span(5 << 32 | u64::from(call.0))
    }

    /// The id of the span that is an event in the history of this execution.
    #[must_use]
    pub fn span_of_event(self, place: u64) -> u64 {
        self.nth_span(6 << 32 ^ place)
    }

    /// Zero is no span.
    fn nth_span(self, salt: u64) -> u64 {
        let bytes = self.derive(salt).0.to_le_bytes();
        let (low, _) = bytes.split_at(8);
        low.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_span_stands_where_the_parent_stood() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let trace = Trace { parent: parent.into(), state: Some("a=b".into()) };
        let within = trace.within(0xff);
        assert_eq!(&*within.parent, "00-0af7651916cd43dd8448eb211c80319c-00000000000000ff-01");
        assert_eq!(within.state, trace.state);
    }

    #[test]
    fn what_is_no_trace_stays_as_it_is() {
        for text in ["", "00-1-2-01", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333é-01"] {
            let trace = Trace { parent: text.into(), state: None };
            assert_eq!(trace.within(1), trace);
        }
    }

    #[test]
    fn spans_of_one_execution_differ_and_stay_the_same() {
        let execution = ExecutionId(7);
        let spans =
            [execution.span(), execution.span_of_call(CallId(0)), execution.span_of_event(0)];
        assert_eq!(execution.span(), ExecutionId(7).span());
        assert!(spans[0] != spans[1] && spans[1] != spans[2] && spans[0] != spans[2]);
    }
}
