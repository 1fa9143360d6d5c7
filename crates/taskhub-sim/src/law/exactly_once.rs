//! Promise 5: "Every accepted message is consumed exactly once, or refused with an error that says
//! so. An acknowledged start, event or terminate survives `kill -9`, power loss included."

use std::collections::BTreeMap;

use taskhub_core::{CommitSeq, InstanceId, Message, TurnRecord};

use super::{Violation, ensure};
use crate::chronicle::{Applied, Chronicle};

/// What clients know of the events they raised.
#[derive(Debug, Default)]
pub(crate) struct Raised {
    by_payload: BTreeMap<(InstanceId, String), Count>,
    /// The last commit of each partition and epoch.
    last: BTreeMap<(u16, u64), CommitSeq>,
}

#[derive(Debug, Default)]
struct Count {
    /// How often it was acknowledged.
    acknowledged: u32,
    /// How often it may have been accepted.
    asked: u32,
}

impl Raised {
    /// A client asks; whether it, or another, asked for the same before.
    pub(crate) fn ask(&mut self, instance: &InstanceId, payload: &str) -> bool {
        let count = self.count(instance, payload);
        count.asked += 1;
        count.asked > 1
    }

    /// A client was refused: this time nothing happened.
    pub(crate) fn refuse(&mut self, instance: &InstanceId, payload: &str) {
        self.count(instance, payload).asked -= 1;
    }

    /// An acknowledgement leaves: the event is there, as often as it was acknowledged.
    pub(crate) fn acknowledge(
        &mut self,
        chronicle: &Chronicle,
        instance: &InstanceId,
        payload: &str,
    ) -> Result<(), Violation> {
        let count = self.count(instance, payload);
        count.acknowledged += 1;
        let acknowledged = count.acknowledged;
        let known = chronicle.instances.get(instance);
        let arrived = known.and_then(|known| known.arrived.get(payload)).copied();
        let arrived = arrived.unwrap_or_default();
        ensure(arrived >= acknowledged, || {
            let happened = format!("{payload} arrived {arrived} times at {instance}");
            Violation::new(4, format!("{payload} arrived {acknowledged} times"), happened)
        })
    }

    fn count(&mut self, instance: &InstanceId, payload: &str) -> &mut Count {
        self.by_payload.entry((instance.clone(), payload.to_owned())).or_default()
    }

    /// A turn became durable: the events that arrived with it are those that somebody sent, as
    /// often as they were sent; and no commit of its partition is missing before it.
    pub(crate) fn on_turn(
        &mut self,
        applied: &Applied<'_>,
        chronicle: &Chronicle,
    ) -> Result<(), Violation> {
        self.in_order(applied.turn, applied.epoch.0)?;
        let id = &applied.turn.instance;
        let mut sent: Vec<_> = applied.messages.iter().filter_map(payload_of).collect();
        for payload in &applied.arrivals {
            if let Some(at) = sent.iter().position(|sent| sent == payload) {
                sent.remove(at);
                continue;
            }
            let arrived = chronicle.instances[id].arrived.get(payload).copied().unwrap_or(0);
            let asked = self.count(id, payload).asked;
            ensure(arrived <= asked, || {
                let happened = format!("{payload} arrived {arrived} times at {id}");
                Violation::new(5, format!("{payload} was sent {asked} times"), happened)
            })?;
        }
        Ok(())
    }

    fn in_order(&mut self, turn: &TurnRecord, epoch: u64) -> Result<(), Violation> {
        let last = self.last.entry((turn.partition.0, epoch)).or_default();
        let expected = CommitSeq(last.0 + 1);
        ensure(turn.seq == expected, || {
            let happened = format!("{:?} of partition {} came", turn.seq, turn.partition.0);
            Violation::new(5, format!("a lane loses no middle: {expected:?} comes next"), happened)
        })?;
        *last = expected;
        Ok(())
    }
}

fn payload_of(envelope: &taskhub_core::Envelope) -> Option<String> {
    match &envelope.message {
        Message::Raise { input, .. } => Some(input.as_deref().unwrap_or_default().to_owned()),
        _ => None,
    }
}
