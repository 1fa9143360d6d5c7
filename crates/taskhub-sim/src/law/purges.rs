//! Promise 5, for a purge with children: it takes along all that can be forgotten and nobody else,
//! and whoever is still there when it is cut short can still be found by the next.

use std::collections::BTreeSet;

use taskhub_core::{ExecutionId, InstanceId, Kind, Record};

use super::{Violation, ensure};
use crate::chronicle::Chronicle;

/// A purge with children that is under way.
#[derive(Debug)]
pub(crate) struct Purge {
    root: InstanceId,
    /// How many turns were durable when it began.
    since: u64,
    family: Vec<Member>,
}

/// Somebody who can be forgotten, and his parents up to the root, the nearest last.
#[derive(Debug, Clone)]
struct Member {
    id: InstanceId,
    execution: ExecutionId,
    parents: Vec<(InstanceId, ExecutionId)>,
}

fn can_go(record: &Record) -> bool {
    record.status.is_terminal() || record.stuck.is_some()
}

impl Purge {
    /// Somebody wants an instance to be forgotten with its children.
    pub(crate) fn begin(root: &InstanceId, chronicle: &Chronicle) -> Self {
        let (mut family, mut at) = (Vec::new(), 0);
        family.extend(member(root, Vec::new(), chronicle));
        while let Some(parent) = family.get(at).cloned() {
            at += 1;
            let mut parents = parent.parents;
            parents.push((parent.id.clone(), parent.execution));
            for child in called(&parent.id, chronicle) {
                let is_own = chronicle.record(&child).is_some_and(|record| {
                    record.parent.as_ref().is_some_and(|it| it.instance == parent.id)
                });
                let is_new = family.iter().all(|it| it.id != child);
                family.extend(
                    member(&child, parents.clone(), chronicle).filter(|_| is_own && is_new),
                );
            }
        }
        Self { root: root.clone(), since: chronicle.index, family }
    }

    /// It has heard something: nobody is cut off from the root who could be forgotten. `others` are
    /// forgotten for other reasons.
    pub(crate) fn goes_on(
        &self,
        others: &BTreeSet<InstanceId>,
        chronicle: &Chronicle,
    ) -> Result<(), Violation> {
        for member in self.left(others, chronicle) {
            let gone = member.parents.iter().find(|it| !self.stays(&it.0, it.1, chronicle));
            ensure(gone.is_none(), || {
                let happened = format!("{member:?} is still there, {gone:?} is not");
                Violation::new(5, "children are forgotten before their parents", happened)
            })?;
        }
        Ok(())
    }

    /// It is done, and wanted these to be forgotten.
    pub(crate) fn is_done(
        &self,
        own: &BTreeSet<InstanceId>,
        others: &BTreeSet<InstanceId>,
        chronicle: &Chronicle,
    ) -> Result<(), Violation> {
        let left = self.left(others, chronicle).next();
        ensure(left.is_none() || others.contains(&self.root), || {
            let happened = format!("{left:?} is still there");
            Violation::new(5, "a purge with children takes all of them along", happened)
        })?;
        let belongs = |id: &InstanceId| {
            let known = chronicle.instances.get(id);
            let mut records = known.into_iter().flat_map(|it| it.since(self.since)).flatten();
            *id == self.root
                || records.any(|it| it.parent.as_ref().is_some_and(|it| own.contains(&it.instance)))
        };
        ensure(own.iter().all(belongs), || {
            let happened = format!("{own:?} of {}", self.root);
            Violation::new(5, "a purge with children takes nobody else", happened)
        })
    }

    /// Who is still there, and was not cut off by somebody else.
    fn left<'a>(
        &'a self,
        others: &'a BTreeSet<InstanceId>,
        chronicle: &'a Chronicle,
    ) -> impl Iterator<Item = &'a Member> {
        let is_cut_off = |(id, execution): &(InstanceId, ExecutionId)| {
            others.contains(id) || self.changes(id, *execution, chronicle)
        };
        let stays = |it: &&Member| self.stays(&it.id, it.execution, chronicle);
        self.family.iter().filter(stays).filter(move |it| !it.parents.iter().any(is_cut_off))
    }

    /// Whether an execution has been there all the time, and could be forgotten.
    fn stays(&self, id: &InstanceId, execution: ExecutionId, chronicle: &Chronicle) -> bool {
        chronicle.instances.get(id).is_some_and(|known| {
            let same = |it: &Record| it.execution == execution && can_go(it);
            known.since(self.since).all(|it| it.is_some_and(same))
        })
    }

    /// Whether it went on in between, or another took its id.
    fn changes(&self, id: &InstanceId, execution: ExecutionId, chronicle: &Chronicle) -> bool {
        chronicle.instances.get(id).is_some_and(|known| {
            known.since(self.since).flatten().any(|it| it.execution != execution || !can_go(it))
        })
    }
}

fn member(
    id: &InstanceId,
    parents: Vec<(InstanceId, ExecutionId)>,
    chronicle: &Chronicle,
) -> Option<Member> {
    let record = chronicle.record(id).filter(|record| can_go(record))?;
    Some(Member { id: id.clone(), execution: record.execution, parents })
}

/// Whom the history of an instance names as its children, unless it cannot be read.
fn called(id: &InstanceId, chronicle: &Chronicle) -> BTreeSet<InstanceId> {
    let known = chronicle.instances.get(id).filter(|_| !chronicle.damaged.contains(id));
    let mut called = BTreeSet::new();
    for event in known.into_iter().flat_map(|known| &known.log) {
        match &event.kind {
            Kind::ChildScheduled { instance, .. } => drop(called.insert(instance.clone())),
            Kind::Started(started) => {
                called.extend(started.inherited.iter().map(|it| it.instance.clone()));
            }
            _ => {}
        }
    }
    called
}
