//! One seed, one whole cluster: the simulator that checks the promises of Taskhub.
//!
//! A [`Scenario`] is drawn from a seed: nodes, limits, what orchestrations do, what clients ask,
//! what goes wrong. [`run`] plays it in one thread with a virtual clock, with the very code of the
//! core and the engine, and holds every step against the promises (`law/`) and a naive model.
//!
//! [`mod@conformance`] is the suite that every store passes.

mod chore;
mod chronicle;
mod client;
mod code;
#[expect(clippy::missing_panics_doc, reason = "a law that is broken panics")]
pub mod conformance;
mod coverage;
mod crew;
mod lane;
mod law;
mod messages;
mod model;
mod node;
mod ownership;
mod program;
mod random;
mod scenario;
mod shrink;
mod store;
mod trace;
mod trigger;
mod trouble;
mod work;
mod worker;
mod world;

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook},
};

pub use coverage::Coverage;
pub use law::Violation;
pub use program::{Policy, Program, Step};
pub use random::Random;
pub use scenario::{Act, Operation, Rates, Scenario, Trouble, TroubleKind};
pub use shrink::shrink;
pub use store::SimStore;
pub use trace::Trace;

/// What a panic of the core, the engine or the simulator itself means: no promise holds.
fn panicked(panic: &(dyn Any + Send)) -> Violation {
    let failure = taskhub_core::Failure::panic("this run", panic);
    Violation::new(0, "nothing panics but orchestrations", failure.message.to_string())
}

/// Keeps the panics of simulated orchestrations, which are wanted, off the screen.
pub fn hush() {
    let loud = take_hook();
    set_hook(Box::new(move |panic| {
        if panic.payload_as_str() != Some(code::WANTED) {
            loud(panic);
        }
    }));
}

/// What came of a run.
#[derive(Debug)]
pub struct Report {
    /// What happened how often.
    pub coverage: Coverage,
    /// The same for the same run.
    pub hash: u64,
    /// The promise that was broken, if one was.
    pub violation: Option<Violation>,
}

/// Runs a scenario.
#[must_use]
pub fn run(scenario: Scenario, trace: Trace) -> Report {
    let mut world = world::World::new(scenario, trace);
    let ran = catch_unwind(AssertUnwindSafe(|| world.run()));
    let violation = ran.unwrap_or_else(|panic| Err(panicked(&*panic))).err();
    let mut coverage = std::mem::take(&mut world.coverage);
    coverage.time = world.now;
    Report { coverage, hash: world.trace.hash(), violation }
}
