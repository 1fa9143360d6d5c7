//! What durable turns say of what orchestrations and entities really did.

use taskhub_core::{Change, Event, Kind, Started};

use super::Coverage;
use crate::{
    chronicle::{Applied, Chronicle},
    code::WANTED,
    model,
    program::{ANSWER, BLOB, Program, SCHEDULE, is_elsewhere},
};

impl Coverage {
    /// Counts what a durable turn did.
    pub(crate) fn turn(&mut self, applied: &Applied<'_>) {
        let Change::Write { record, .. } = &applied.turn.change else { return };
        for event in &applied.fresh {
            if let Kind::Started(started) = &event.kind {
                self.begins(applied, started);
            }
            if let Some(what) = written(&event.kind) {
                self.count(what);
            }
        }
        for two in applied.fresh.windows(2) {
            let clock = match two[1].kind {
                Kind::TurnStarted { clock, .. } => clock,
                _ => None,
            };
            let ended = matches!(two[0].kind, Kind::ActivityFinished { .. });
            let is_ahead = ended && clock == Some(two[0].at);
            self.count_if(is_ahead, "did: took a turn that was run ahead");
        }
        let ends = |event: &Event| matches!(event.kind, Kind::Completed { .. });
        let owes = record.busy && applied.fresh.iter().any(ends);
        self.count_if(owes, "did: ended before an activity that it called");
        if let Some(why) = &record.stuck
            && applied.before.as_ref().is_none_or(|it| it.stuck.is_none())
        {
            let panicked = why.contains(WANTED);
            self.count_if(!panicked, "did: parked, its code changed");
            self.count_if(panicked, "did: parked, its code panicked");
        }
        if record.stuck.is_none() && applied.before.as_ref().is_some_and(|it| it.stuck.is_some()) {
            self.count("did: went on after it was parked");
        }
    }

    /// Counts, at the end, which events came before anybody waited for them.
    pub(crate) fn waits(&mut self, programs: &[Program], chronicle: &Chronicle) {
        for (id, known) in &chronicle.instances {
            if let Some(told) = model::tell(programs, id, &known.log) {
                self.count_many("events: taken that came before the wait", told.events.0);
                self.count_many("events: taken that came after the wait began", told.events.1);
            }
        }
    }

    fn begins(&mut self, applied: &Applied<'_>, started: &Started) {
        let moved = |before: &taskhub_core::Record| {
            let was = is_elsewhere(&before.name, before.version.as_deref());
            was != is_elsewhere(&started.name, started.version.as_deref())
        };
        match &applied.before {
            Some(before) if applied.goes_on => {
                self.count("did: continued as new");
                if before.version != started.version {
                    self.count("did: continued as a new version");
                    self.count_if(moved(before), "did: moved to or from workers elsewhere");
                }
                self.count_if(*started.name == *SCHEDULE, "triggers: a schedule goes on");
            }
            Some(_) => self.count("did: began in place of one that ended"),
            None => self.count("did: began"),
        }
        self.count_if(*started.name == *BLOB, "triggers: a receipt begins");
        self.count_if(started.parent.is_some(), "did: began as a sub-orchestration");
        self.count_if(started.start_at.is_some(), "did: began with a later start");
        self.count_if(started.deadline.is_some(), "did: began with a deadline");
    }

    fn count_if(&mut self, happened: bool, what: &'static str) {
        if happened {
            self.count(what);
        }
    }
}

fn written(kind: &Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::ActivityScheduled { .. } => "did: called an activity",
        Kind::ActivityFinished { outcome: Ok(_), .. } => "did: took a result",
        Kind::ActivityFinished { .. } => "did: took a failure",
        Kind::ChildScheduled { .. } => "did: called a sub-orchestration",
        Kind::ChildFinished { .. } => "did: took the end of a sub-orchestration",
        Kind::TimerCreated { .. } => "did: set a timer",
        Kind::TimerFired { .. } => "did: took a timer",
        Kind::CallCancelled { .. } => "did: gave up a call",
        Kind::ChildGone { .. } => "did: heard of a child that it had given up",
        Kind::OperationsDue { .. } => "did: let delayed operations take their place",
        Kind::EventSent { name, .. } if **name == *ANSWER => "did: answered a question",
        Kind::EventSent { .. } => "did: sent an event",
        Kind::Rewound { .. } => "did: was rewound",
        Kind::EventRaised { .. } => "did: got an event",
        Kind::InstanceStarted { .. } => "did: started another one",
        Kind::TerminateSent { .. } => "did: terminated another one",
        Kind::OperationCalled { .. } => "did: called an entity",
        Kind::OperationFinished { .. } => "did: took the answer of an entity",
        Kind::OperationSignaled { .. } => "did: signaled an entity",
        Kind::LocksRequested { .. } => "did: asked for locks",
        Kind::LocksGranted { .. } => "did: got locks",
        Kind::Unlocked { .. } => "did: gave a lock back",
        Kind::Suspended { .. } => "did: was suspended",
        Kind::Resumed { .. } => "did: was resumed",
        Kind::Terminated { reason: Some(reason) } if reason.contains("within the time") => {
            "did: ran into its deadline"
        }
        Kind::Terminated { .. } => "did: was terminated",
        Kind::Completed { status: taskhub_core::RuntimeStatus::Completed } => "did: returned",
        Kind::Completed { status: taskhub_core::RuntimeStatus::Failed } => "did: failed",
        _ => return None,
    })
}
