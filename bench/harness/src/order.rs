//! What the benchmark tells a measuring process, and what it hears back.
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One measurement to make.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// What to do.
    pub task: Task,
    /// Where the system's store is.
    pub place: Place,
    /// How long to do it.
    pub pace: Pace,
}

/// Where the store of a system is: empty, except for [`Task::Return`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Place {
    /// For a system that keeps files.
    pub folder: PathBuf,
    /// The address of a database in PostgreSQL, for a system that wants one; else empty.
    pub database: String,
}

/// The works, as the processes know them.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// W1: so many HTTP clients, each holding one GET that another channel answers.
    Weather {
        /// Clients at a time.
        clients: usize,
    },
    /// W2: so many orchestrations at a time, each a chain of 5 activities.
    Chains {
        /// Orchestrations at a time.
        at_a_time: usize,
    },
    /// W3: one orchestration that starts so many activities and joins them.
    FanOut {
        /// Activities.
        width: usize,
    },
    /// W4: one orchestration of so many activities, one after the other.
    Sequence {
        /// Activities.
        steps: usize,
    },
    /// W5, first half: leave so many instances waiting, then end without a goodbye.
    Park {
        /// Instances.
        instances: usize,
    },
    /// W5, second half: open that store again, and wake one of the instances.
    Return {
        /// Instances that were parked.
        instances: usize,
    },
    /// W6: so many requests that wait for their answers at the same time.
    Hold {
        /// Requests.
        requests: usize,
        /// What they are.
        door: Door,
        /// Whether they share connections of HTTP/2, or have one of HTTP/1 each.
        http2: bool,
    },
}

/// A way to ask for something that takes long.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Door {
    /// A route of the application that holds the request over an orchestration.
    Gateway,
    /// Start and wait, of the management API.
    StartAndWait,
}

/// How long a measurement takes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Pace {
    /// Before anything counts.
    pub warm_up: Duration,
    /// What counts, at least; a slow system is watched for longer, up to `cap`.
    pub window: Duration,
    /// When to give up.
    pub cap: Duration,
}

/// What a measuring process found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Figures {
    /// The values by name, each in the unit that its name ends with.
    pub values: BTreeMap<String, f64>,
    /// Whether the cap came first; the values are then those of the part that was done.
    pub unfinished: bool,
}

impl Figures {
    /// These figures and one more.
    #[must_use]
    pub fn with(mut self, name: &str, value: f64) -> Figures {
        self.values.insert(name.to_owned(), value);
        self
    }
}
