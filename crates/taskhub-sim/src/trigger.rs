//! The triggers: what nodes start because a time came or a file arrived.
//!
//! As in the library, a schedule is one instance that never ends, started by every node unless it
//! runs, and each version of a blob is one instance, its receipt, joined if it is there. Every
//! node looks for blobs, and knows what it has seen only as long as its process lives.

use taskhub_core::{InstanceId, Refusal, Reuse};

use crate::{
    node::{Asked, Life},
    program::{BLOB, SCHEDULE},
    scenario::{Act, Operation},
    world::{Happening, World},
};

/// The instance of the only schedule.
pub(crate) fn schedule_id() -> InstanceId {
    InstanceId::trusted("schedule:s")
}

/// The receipt of a blob.
pub(crate) fn receipt_id(blob: usize) -> InstanceId {
    InstanceId::trusted(format!("blobs:b:{blob}"))
}

/// Whether a trigger keeps this instance: it asks until it is heard.
pub(crate) fn is_of_trigger(id: &InstanceId) -> bool {
    id.as_str().contains(':')
}

impl World {
    /// A process begins: it starts the schedule unless it runs.
    pub(crate) fn arm(&mut self) {
        if self.scenario.schedule {
            let program = self.program(SCHEDULE);
            self.trigger(schedule_id(), Act::Start(program, Reuse::ended(), None));
        }
    }

    /// A process looks through its folder: what it has not seen is new to it. Now and then it is
    /// told of the same blob again.
    pub(crate) fn scan(&mut self, life: Life) {
        for blob in 0..self.scenario.blobs.len() {
            if self.scenario.blobs[blob] > self.now {
                continue;
            }
            let fresh = self.nodes[life.node].seen.insert(blob);
            if fresh || self.random.chance(10) {
                self.coverage.count("triggers: blobs seen");
                let program = self.program(BLOB);
                self.trigger(receipt_id(blob), Act::Start(program, Reuse::Join, None));
            }
        }
    }

    /// The schedule runs already. A node whose program has another one tells it so.
    pub(crate) fn schedule_runs(&mut self, asked: &Asked, why: &Refusal) {
        let runs = matches!(why, Refusal::Exists(..)) && asked.instance == schedule_id();
        if runs && self.random.chance(200) {
            self.coverage.count("triggers: a schedule changed");
            let payload = format!("changed{}", asked.request.0).into();
            self.trigger(schedule_id(), Act::Raise("go".into(), payload));
        }
    }

    /// Somebody asks, beside those who were drawn.
    pub(crate) fn trigger(&mut self, instance: InstanceId, act: Act) {
        let (at, index) = (self.now, self.scenario.operations.len());
        let operation = Operation { at, instance, act, patience: None, within: None };
        self.scenario.operations.push(operation);
        self.soon(5_000, Happening::Begin(index, 0));
    }

    fn program(&self, name: &str) -> usize {
        let named = |program: &crate::program::Program| *program.name == *name;
        self.scenario.programs.iter().position(named).unwrap_or(0)
    }
}
