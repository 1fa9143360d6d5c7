//! Promise 5: "Every accepted message is consumed exactly once, or refused with an error that says
//! so. An acknowledged start, event or terminate survives `kill -9`, power loss included."
//!
//! Who is terminated with its children takes all along that may run, those that it gave up and
//! those that earlier executions called too.

use std::collections::BTreeMap;

use taskhub_core::{CallId, Change, Event, ExecutionId, InstanceId, Kind, Message};

use super::{Violation, ensure};
use crate::{
    chronicle::{Applied, Chronicle},
    program::ends_all,
};

/// The children of every instance that have not told it that they ended.
#[derive(Debug, Default)]
pub(crate) struct Children {
    of: BTreeMap<InstanceId, Vec<Child>>,
}

/// A child, and the call that made it one.
#[derive(Debug)]
struct Child {
    execution: ExecutionId,
    call: CallId,
    instance: InstanceId,
}

impl Children {
    /// A turn became durable.
    pub(crate) fn on_turn(
        &mut self,
        applied: &Applied<'_>,
        chronicle: &Chronicle,
    ) -> Result<u64, Violation> {
        let id = &applied.turn.instance;
        let now = chronicle.record(id).map(|record| record.execution);
        let Some(now) = now.filter(|_| applied.goes_on || !applied.replaced) else {
            self.of.remove(id);
            self.begin(applied, chronicle);
            return Ok(0);
        };
        let children = self.of.entry(id.clone()).or_default();
        // A rewound instance waits anew for what it had called.
        if let Some(kept) = &applied.kept {
            children.retain(|child| !child.execution.goes_on_as(now));
            children.extend(called(now, kept));
        }
        children.extend(called(now, &applied.fresh));
        for envelope in &applied.messages {
            if let Message::ChildFinished { execution, call, .. } = &envelope.message {
                children.retain(|child| !child.is(*execution, *call, chronicle));
            }
        }
        let reason = terminated(&applied.fresh).filter(|reason| ends_all(reason));
        // Whose history cannot be read knows no children.
        let Some(reason) = reason.filter(|_| !chronicle.damaged.contains(id)) else {
            return Ok(0);
        };
        for child in &*children {
            let told = applied.turn.sent.iter().any(|sent| match &sent.message {
                Message::Terminate {
                    child_of: Some((execution, call)), recursive: true, ..
                } => sent.to == child.instance && child.is(*execution, *call, chronicle),
                _ => false,
            });
            ensure(told, || {
                let happened = format!("{id} ends ({reason}), and does not tell {child:?}");
                Violation::new(5, "a termination with children reaches all of them", happened)
            })?;
        }
        Ok(1)
    }

    /// An instance begins anew, or is not there any more.
    fn begin(&mut self, applied: &Applied<'_>, chronicle: &Chronicle) {
        let id = &applied.turn.instance;
        if let (Change::Write { .. }, Some(record)) = (&applied.turn.change, chronicle.record(id)) {
            self.of.insert(id.clone(), called(record.execution, &applied.fresh));
        }
    }
}

impl Child {
    fn is(&self, execution: ExecutionId, call: CallId, chronicle: &Chronicle) -> bool {
        let rewound = || chronicle.is_rewound(execution) || chronicle.is_rewound(self.execution);
        let goes_on =
            || execution.goes_on_as(self.execution) || self.execution.goes_on_as(execution);
        call == self.call && (execution == self.execution || rewound() && goes_on())
    }
}

/// The children that an execution called with these events, and that did not end among them.
fn called(own: ExecutionId, events: &[Event]) -> Vec<Child> {
    let mut children: Vec<Child> = Vec::new();
    for event in events {
        match &event.kind {
            Kind::ChildScheduled { call, instance, .. } => {
                children.push(Child { execution: own, call: *call, instance: instance.clone() });
            }
            Kind::ChildFinished { call, .. } => children.retain(|child| child.call != *call),
            Kind::ChildGone { execution, call } if execution.goes_on_as(own) => {
                children.retain(|child| child.call != *call);
            }
            _ => {}
        }
    }
    children
}

/// Why an instance was terminated with these events, if it was.
fn terminated(events: &[Event]) -> Option<&str> {
    events.iter().find_map(|event| match &event.kind {
        Kind::Terminated { reason } => reason.as_deref(),
        _ => None,
    })
}
