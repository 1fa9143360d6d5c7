//! Promise 5, for questions: each question gets one answer, and who asked hears it.

use std::collections::BTreeSet;

use taskhub_core::Kind;

use super::{Violation, ensure};
use crate::{
    chronicle::Applied,
    program::{ANSWER, answer},
};

/// The answers that arrived.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    heard: BTreeSet<String>,
}

impl Answers {
    /// A turn became durable: the answers that arrived with it are the first to their questions,
    /// and came to whom it was that asked.
    pub(crate) fn on_turn(&mut self, applied: &Applied<'_>) -> Result<(), Violation> {
        if applied.replaced {
            return Ok(()); // What waits goes over to the next execution.
        }
        for event in &applied.fresh {
            let Kind::EventRaised { name, input } = &event.kind else { continue };
            let Some(told) = input.as_deref().filter(|_| **name == *ANSWER) else { continue };
            let question = told.strip_prefix("re:").unwrap_or_default();
            let asker = answer(question).map(|(asker, _)| asker);
            let first = self.heard.insert(told.to_owned());
            ensure(first && asker.as_ref() == Some(&applied.turn.instance), || {
                let happened =
                    format!("{} hears {told}, the first: {first}", applied.turn.instance);
                Violation::new(5, "a question gets one answer, for who asked", happened)
            })?;
        }
        Ok(())
    }
}
