//! Which work a worker takes.

use taskhub_core::{
    Job, Task, Text,
    mutation::{Mutation, mutated},
};

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
    /// The empty version is that of orchestrations that have none. Activities that were called
    /// without a version are for all.
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
        names.iter().any(|(known, versions)| {
            let fits = |version: &str| versions.iter().any(|known| **known == *version);
            same(known, name)
                && (versions.is_empty()
                    || version.is_none_or(fits)
                    || mutated(Mutation::GiveAnyVersion))
        })
    }
}

fn same(one: &str, other: &str) -> bool {
    let is_plain = one.is_ascii() && other.is_ascii();
    one.eq_ignore_ascii_case(other) || !is_plain && one.to_lowercase() == other.to_lowercase()
}

/// The name by which a task finds its worker, and the version, if that matters.
pub(super) fn label(task: &Task) -> (&str, Option<&str>) {
    match &task.job {
        Job::Activity(work) => (&work.name, work.version.as_deref()),
        Job::Turn(turn) => (&turn.name, Some(turn.version.as_deref().unwrap_or_default())),
        Job::Operations(_) => (task.ticket.instance.as_entity().map_or("", |(name, _)| name), None),
    }
}
