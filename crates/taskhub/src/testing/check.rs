//! Replays a history and compares: what one life did, every replay must do.

use taskhub_core::{
    Event, InstanceId, Kind, Outcome, Text,
    turn::{Execution, Orchestration, Progress},
};

use super::stray;

/// Histories up to this length are checked at every step, longer ones as they grow.
const ALWAYS: usize = 200;

/// Ways to cut a history into turns: into one, as it was, and every other turn together. The
/// first is tried several times, since chance may hide in the code.
const CUTS: [usize; 5] = [usize::MAX, 1, usize::MAX, 2, usize::MAX];

#[derive(Default)]
pub(super) struct Check {
    checked: usize,
    custom_status: Option<Text>,
}

impl Check {
    /// The code set a custom status.
    pub(super) fn note(&mut self, status: Option<Text>) {
        self.custom_status = status.or(self.custom_status.take());
    }

    #[track_caller]
    pub(super) fn replay(
        &mut self,
        name: &str,
        code: &dyn Orchestration,
        instance: &InstanceId,
        history: &[Event],
        outcome: Option<&Outcome>,
    ) {
        let grown = history.len() - self.checked > history.len() / 10;
        if history.len() > ALWAYS && !grown && outcome.is_none() {
            return;
        }
        self.checked = history.len();
        for cut in CUTS {
            if let Err(difference) = self.differs(code, instance, history, outcome, cut) {
                panic!(
                    "`{name}` is not deterministic: replayed from its own history, it does \
                     something else.\n  {difference}\nAn orchestration does the same at every \
                     replay: no clock but ctx.now(), no chance but ctx.random() and ctx.uuid(), \
                     no I/O, no loop over a HashMap (use a BTreeMap or a Vec), no state outside."
                );
            }
        }
    }

    fn differs(
        &self,
        code: &dyn Orchestration,
        instance: &InstanceId,
        history: &[Event],
        outcome: Option<&Outcome>,
        cut: usize,
    ) -> Result<(), String> {
        let seen = Seen::again(code, instance, history, cut)?;
        if let Some(drift) = seen.drift {
            return Err(drift.to_string());
        }
        if seen.outcome.as_ref() != outcome {
            return Err(format!(
                "it came to {}, now to {}",
                shown(outcome),
                shown(seen.outcome.as_ref())
            ));
        }
        if seen.custom_status != self.custom_status {
            let (was, is) = (&self.custom_status, &seen.custom_status);
            return Err(format!("the custom status was {was:?}, now it is {is:?}"));
        }
        Ok(())
    }
}

/// What a replay came to.
#[derive(Default)]
pub(super) struct Seen {
    pub outcome: Option<Outcome>,
    pub custom_status: Option<Text>,
    /// The first call that had another input than in the history.
    pub drift: Option<Text>,
}

impl Seen {
    /// Replays a history, with so many turns at a time, or says where the code does otherwise.
    pub(super) fn again(
        code: &dyn Orchestration,
        instance: &InstanceId,
        history: &[Event],
        cut: usize,
    ) -> Result<Self, String> {
        let mut seen = Self::default();
        let Some(Event { at, kind: Kind::Started(started) }) = history.first() else {
            return Err("it does not begin with a start".to_owned());
        };
        let _guard = stray::guard();
        let mut again = Execution::begin(code, instance.clone(), started, *at);
        again.replay_until(history.len() as u64);
        again.seal();
        let mut turns = 0;
        for (position, event) in history.iter().enumerate() {
            let before = position.checked_sub(1).map(|before| &history[before].kind);
            let begins = event.kind.is_arrival() && before.is_some_and(|it| !it.is_arrival());
            if begins {
                turns += 1;
                if turns % cut == 0 {
                    seen.step(&mut again)?;
                }
            }
            again.absorb(position as u64, event);
        }
        seen.step(&mut again)?;
        seen.drift = again.drift();
        Ok(seen)
    }

    fn step(&mut self, execution: &mut Execution) -> Result<(), String> {
        let step = execution.step();
        if let Some(action) = step.actions.first() {
            return Err(format!("history has nothing more, the code does {action:?}"));
        }
        self.custom_status = step.custom_status.or(self.custom_status.take());
        match step.progress {
            Progress::Waiting => Ok(()),
            Progress::Finished(outcome) => {
                self.outcome = Some(outcome);
                Ok(())
            }
            Progress::Stuck(why) => Err(why.to_string()),
            Progress::Terminated(_) => {
                unreachable!("code in this process does not end so")
            }
            Progress::ContinuedAsNew(..) => Err("it continues as new too early".to_owned()),
        }
    }
}

pub(super) fn shown(outcome: Option<&Outcome>) -> String {
    match outcome {
        None => "no end yet".to_owned(),
        Some(Ok(output)) => output.as_deref().unwrap_or("null").to_owned(),
        Some(Err(failure)) => format!("the failure `{failure}`"),
    }
}
