//! Promise 9: "A waiter hears exactly what was committed, pushed at once: nothing in the engine
//! polls for completion."

use std::collections::BTreeMap;

use taskhub_core::{CommitSeq, RequestId};

use super::{Violation, ensure};

/// Who has to be answered as soon as a commit is durable. (That they hear what was committed is
/// looked at where answers leave, with promise 4.)
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    due: BTreeMap<RequestId, CommitSeq>,
}

impl Waiters {
    /// The instance that a request waits for has ended, with this commit.
    pub(crate) fn expect(&mut self, request: RequestId, by: CommitSeq) {
        self.due.entry(request).or_insert(by);
    }

    /// A request is answered, or its client went away.
    pub(crate) fn settle(&mut self, request: RequestId) {
        self.due.remove(&request);
    }

    /// The owner has heard that this commit is durable, and done what it wanted to do.
    pub(crate) fn on_durable(&self, durable: CommitSeq) -> Result<(), Violation> {
        let late = self.due.iter().find(|(_, by)| **by <= durable);
        ensure(late.is_none(), || {
            let happened = format!("{late:?} is not answered when {durable:?} is durable");
            Violation::new(9, "a waiter is answered as soon as the end is durable", happened)
        })
    }
}
