//! Which work a worker takes.

use taskhub_core::{Job, Task, Text};

/// What a worker serves, by kind and name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Serves {
    /// Activities.
    pub activities: Names,
    /// Orchestrations.
    pub orchestrations: Names,
    /// Entities.
    pub entities: Names,
}

/// Some names, or all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Names {
    /// Whatever there is.
    #[default]
    All,
    /// Only these, without regard to case; each in these versions, or in all if none is listed.
    /// The empty version is that of work that has none.
    Only(Vec<(Text, Vec<Text>)>),
}

impl Serves {
    pub(super) fn takes(&self, task: &Task) -> bool {
        let (name, version) = label(task);
        self.names(task.ticket.piece.kind()).contain(name, version)
    }

    pub(super) fn names(&self, kind: usize) -> &Names {
        [&self.activities, &self.orchestrations, &self.entities][kind]
    }
}

impl Names {
    pub(super) fn contain(&self, name: &str, version: Option<&str>) -> bool {
        let Self::Only(names) = self else { return true };
        let version = version.unwrap_or_default();
        names.iter().any(|(known, versions)| {
            same(known, name)
                && (versions.is_empty() || versions.iter().any(|known| **known == *version))
        })
    }
}

fn same(one: &str, other: &str) -> bool {
    one == other || one.to_lowercase() == other.to_lowercase()
}

/// The name and the version by which a task finds its worker.
pub(super) fn label(task: &Task) -> (&str, Option<&str>) {
    match &task.job {
        Job::Activity(work) => (&work.name, work.version.as_deref()),
        Job::Turn(turn) => (&turn.name, turn.version.as_deref()),
        Job::Operations(_) => (task.ticket.instance.as_entity().map_or("", |(name, _)| name), None),
    }
}
