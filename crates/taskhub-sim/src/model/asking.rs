//! The steps that fail with what they call, those that ask until they are answered, and one that
//! does not listen.

use taskhub_core::{Kind, Text};

use super::{Teller, UNKNOWN, Wait};
use crate::program::{ANSWER, Step, answer, broad, is_accepted, question};

impl Teller<'_> {
    /// The steps that fail with what they call: `None` while they wait, or the kind of the failure.
    pub(super) fn demand(&mut self, step: &Step) -> Option<Result<(), String>> {
        let at = self.notes.entries.len();
        let mut open = match step {
            Step::MustChild(program) => vec![self.child(*program, None)],
            Step::MustBoth => vec![self.activity("left", at), self.activity("right", at)],
            _ => vec![self.activity("must", at)],
        };
        let mut outcomes = std::collections::BTreeMap::new();
        while !open.is_empty() {
            let waits: Vec<_> = open.iter().copied().map(Wait::Call).collect();
            let (index, outcome) = self.first(&waits)?;
            let call = open.remove(index);
            if let Some(kind) = outcome.strip_prefix('!') {
                self.dropped.extend(open.into_iter().map(|call| (call, self.turn)));
                return Some(Err(kind.to_owned()));
            }
            outcomes.insert(call, outcome);
        }
        for outcome in outcomes.into_values() {
            self.notes.note(outcome);
        }
        Some(Ok(()))
    }

    /// Asks three at once, each at length.
    pub(super) fn ask_at_length(&mut self) -> Option<()> {
        let work = crate::code::work("broad", Some(broad()));
        let call = || Kind::ActivityScheduled { call: UNKNOWN, work: work.clone() };
        let calls: Vec<_> = (0..3).map(|_| self.call(call())).collect();
        self.join(&calls)
    }

    /// The steps that ask somebody.
    pub(super) fn ask(&mut self, step: &Step) -> Option<()> {
        match step {
            Step::Leave => {
                self.activity("aside", self.notes.entries.len());
                self.notes.note("left");
            }
            Step::Poll(pause) => loop {
                let call = self.activity("http", self.notes.entries.len());
                let (_, told) = self.first(&[Wait::Call(call)])?;
                if !is_accepted(&told) {
                    self.notes.note(told);
                    break;
                }
                let timer = self.timer(*pause);
                self.first(&[Wait::Call(timer)])?;
            },
            Step::Question(to, name) => {
                let input = question(self.execution, self.notes.entries.len(), self.instance);
                self.notes.note("asked");
                let (to, name, input) = (to.clone(), Text::from(*name), Some(input));
                self.call(Kind::EventSent { call: UNKNOWN, to, name, input });
                self.note_event(ANSWER)?;
            }
            Step::Answer(name) => {
                let (_, payload) = self.first(&[Wait::Event(name)])?;
                self.notes.note_event(name, &payload);
                if let Some((to, told)) = answer(&payload) {
                    let (name, input) = (ANSWER.into(), Some(told));
                    self.call(Kind::EventSent { call: UNKNOWN, to, name, input });
                }
            }
            _ => {}
        }
        Some(())
    }
}
