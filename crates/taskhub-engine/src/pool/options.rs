//! What a worker says of itself, and how patient a hub is with it.

use std::time::Duration;

use taskhub_core::Limits;

use super::Serves;

/// What a worker can do, and how much of it at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerOptions {
    /// What it calls itself, for people.
    pub name: String,
    /// How many activities it takes at once.
    pub activities: usize,
    /// How many turns of orchestrations.
    pub turns: usize,
    /// How many entities.
    pub entities: usize,
    /// Which work it takes.
    pub serves: Serves,
    /// Whether it keeps the code of orchestrations in memory between their turns.
    pub keeps_code: bool,
    /// Whether it stands for the workers of another node: it gets only what no worker of this node
    /// has room for, and nothing that other nodes have lent.
    pub is_node: bool,
}

/// A worker without a name that takes whatever there is, 100 of each kind at once.
impl Default for WorkerOptions {
    fn default() -> Self {
        Self {
            name: String::new(),
            activities: 100,
            turns: 100,
            entities: 100,
            serves: Serves::default(),
            keeps_code: false,
            is_node: false,
        }
    }
}

/// When work is given to another worker.
#[derive(Debug, Clone)]
pub struct Patience {
    /// After how long a turn, or operations of an entity.
    pub turn: Duration,
    /// After how long an activity.
    pub activity: Duration,
    /// How many workers may be lost with the same work before nobody gets it any more.
    pub losses_max: u32,
}

impl Patience {
    /// That of a hub with these limits.
    #[must_use]
    pub fn of(limits: &Limits) -> Self {
        let (turn, activity) = (Duration::from_mins(5), Duration::from_mins(30));
        Self { turn, activity, losses_max: limits.workers_lost_max }
    }

    /// With work of this kind.
    pub(super) fn with(&self, kind: usize) -> Duration {
        if kind == 0 { self.activity } else { self.turn }
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self::of(&Limits::default())
    }
}
