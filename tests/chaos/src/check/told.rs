//! What clients were told: each got an answer, and it is what the instance gave.

use std::collections::{HashMap, HashSet};

use super::{Known, Verdict};
use crate::ledger::{Line, instance};

pub(super) fn check(known: &Known<'_>, verdict: &mut Verdict) {
    let mut open = HashSet::new();
    let mut raised: HashMap<&str, HashSet<&str>> = HashMap::new();
    let (mut answered, mut again, mut slowest) = (0, 0, 0);
    for line in &known.ledger {
        match line {
            Line::Asks { orchestration, key, .. } => {
                open.insert((orchestration, key));
            }
            Line::Answered { orchestration, key, text, millis, .. } => {
                open.remove(&(orchestration, key));
                (answered, slowest) = (answered + 1, slowest.max(*millis));
                fits(known, verdict, (orchestration, key), text);
            }
            Line::AnsweredAgain { orchestration, key, text } => {
                again += 1;
                fits(known, verdict, (orchestration, key), text);
            }
            Line::Wrong { orchestration, key, status, text } => {
                verdict.wrong.push(format!("{orchestration} {key} was answered {status}: {text}"));
            }
            Line::Replies { instance, text } => {
                raised.entry(instance).or_default().insert(text);
            }
            Line::Replied { .. } | Line::Signals { .. } | Line::Signalled { .. } => {}
        }
    }
    for (orchestration, key) in open {
        verdict.wrong.push(format!("{orchestration} {key} was never answered"));
    }
    for (id, record) in known.records.iter().filter(|(_, record)| &*record.name == "weather") {
        let output = output(known, id).unwrap_or_default();
        let text = plain(&output);
        let is_reply = raised.get(&**id).is_some_and(|raised| raised.contains(&*text));
        verdict.unless(is_reply, || format!("{id} gave {text:?}, which nobody raised: {record:?}"));
    }
    let what = format!("{answered} requests answered, the slowest after {slowest} ms");
    verdict.summary.push(format!("{what}; {again} asked again"));
}

fn fits(known: &Known<'_>, verdict: &mut Verdict, (name, key): (&str, &str), text: &str) {
    let id = instance(name, key);
    let stored = output(known, &id);
    let is_same = stored.as_deref().is_some_and(|stored| plain(stored) == text);
    verdict.unless(is_same, || {
        format!("{name} {key} ({id}) was answered {text:?}, and what is stored is {stored:?}")
    });
}

/// What an instance gave, if it ended well.
fn output(known: &Known<'_>, id: &str) -> Option<String> {
    let outcome = known.records.get(id)?.outcome.as_ref()?;
    Some(outcome.as_ref().ok()?.as_deref()?.to_owned())
}

/// A gateway answers a text as it is, and everything else as JSON.
pub(super) fn plain(output: &str) -> String {
    serde_json::from_str(output).unwrap_or_else(|_| output.to_owned())
}
