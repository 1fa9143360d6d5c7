//! What the simulated entities do: each keeps a list of what it was asked to add.

use taskhub_core::{
    Act, Failure, InstanceId, Operation, Operations, Performed, Requested, Text, Timestamp,
};

use crate::{
    node::EPOCH,
    program::{ENTITIES, entity},
    world::World,
};

impl World {
    /// A worker performs operations in order; now and then fewer than it was given, or none.
    pub(super) fn perform(&mut self, id: &InstanceId, given: &Operations) -> Performed {
        if self.random.chance(self.rates.activity_fails / 8) {
            self.coverage.count("operations: all fail");
            let failed = Some(Failure::new("Down", "the worker cannot do it"));
            return Performed { failed, ..Performed::default() };
        }
        let mut performed = Performed { state: given.state.clone(), ..Performed::default() };
        let mut most = given.requested.len();
        if self.random.chance(self.rates.turn_partial) {
            self.coverage.count("operations: fewer than given");
            most = self.random.index(most + 1);
        }
        for requested in given.requested.iter().take(most) {
            let outcome = if self.random.chance(self.rates.activity_fails) {
                self.coverage.count("operations: fail");
                Err(Failure::new("Refused", "as the seed wants"))
            } else {
                if &*requested.operation.name == "pass" {
                    let act = self.beside(id, performed.acts.len());
                    performed.acts.push(act);
                }
                self.coverage.count("operations: succeed");
                Ok(done(&mut performed.state, &requested.operation))
            };
            performed.outcomes.push(outcome);
        }
        performed
    }

    /// What an entity does to others while it performs an operation.
    fn beside(&mut self, id: &InstanceId, count: usize) -> Act {
        self.runs += 1;
        let run = self.runs;
        let at = self.random.chance(300).then(|| {
            let later = self.random.between(0, 3_000_000);
            Timestamp(EPOCH + self.now + later)
        });
        if self.random.chance(200) {
            let instance = InstanceId::trusted(format!("e{run}"));
            // One that uses no entities: otherwise it might go on for ever.
            let work = crate::code::work(&self.scenario.programs[0].name, None);
            return Act::Start { instance, work, at };
        }
        let request: Text = format!("{id}~{run}").into();
        let input = Some(format!("{request}:{count}").into());
        let operation = Operation::new(request, "add", input);
        let to = entity(self.random.index(ENTITIES));
        Act::Signal(to, Requested { operation, caller: None, due: at })
    }
}

/// What an operation does to the state when it succeeds, and what it gives.
pub(crate) fn done(state: &mut Option<Text>, operation: &Operation) -> Option<Text> {
    let label = operation.input.clone().unwrap_or_default();
    if &*operation.name == "clear" {
        *state = None;
        return None;
    }
    *state = Some(match state {
        Some(before) => format!("{before},{label}").into(),
        None => label.clone(),
    });
    Some(label)
}
