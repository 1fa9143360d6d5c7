//! Replies: each that was accepted stands in the history of its request, and none does twice.

use std::collections::{BTreeMap, HashMap};

use taskhub_core::{Event, Kind};

use super::{Known, Verdict, histories, told::plain};
use crate::ledger::Line;

/// By their texts, each of which is sent once: whether they were accepted.
type Sent<'a> = BTreeMap<&'a str, bool>;

pub(super) fn check(known: &Known<'_>, verdict: &mut Verdict) {
    let mut sent: HashMap<&str, Sent<'_>> = HashMap::new();
    for line in &known.ledger {
        match line {
            Line::Replies { instance, text } => {
                sent.entry(instance).or_default().entry(text).or_default();
            }
            Line::Replied { instance, text } => {
                sent.entry(instance).or_default().insert(text, true);
            }
            _ => {}
        }
    }
    let accepted = sent.values().flat_map(BTreeMap::values).filter(|accepted| **accepted);
    verdict.summary.push(format!("{} replies were accepted", accepted.count()));
    for (instance, sent) in sent {
        match histories::read(known, instance) {
            Ok(history) => one(verdict, instance, &sent, &history),
            Err(error) => verdict.wrong.push(format!("the history of {instance}: {error}")),
        }
    }
}

pub(super) fn one(verdict: &mut Verdict, id: &str, sent: &Sent<'_>, history: &[Event]) {
    let mut counts: HashMap<String, u32> = HashMap::new();
    for event in history {
        if let Kind::EventRaised { input, .. } = &event.kind {
            *counts.entry(plain(input.as_deref().unwrap_or_default())).or_default() += 1;
        }
    }
    for (text, accepted) in sent {
        let count = counts.remove(*text).unwrap_or_default();
        verdict.unless(count == 1 || count == 0 && !accepted, || {
            format!("{id} was sent {text:?} once, accepted: {accepted}; it has that {count} times")
        });
    }
    for text in counts.keys() {
        verdict.wrong.push(format!("{id} has the reply {text:?}, which nobody sent"));
    }
}
