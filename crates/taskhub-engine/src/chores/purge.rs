//! A purge of many: whom it takes along, and in which order.

use std::collections::BTreeSet;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use taskhub_core::{
    Answer, InstanceId, Kind, Record, Refusal, Verb,
    mutation::{Mutation, mutated},
    store::StoreError,
};

use super::Asked;

/// How many instances are purged at the same time, and how many histories are read for it.
const PURGES_AT_ONCE: usize = 64;
const READS_AT_ONCE: usize = 4;

/// Forgets an instance that has ended or is parked, and before it all that it called and that has
/// ended or is parked, however deep: how many they were. What was interrupted can be repeated.
pub async fn purge_with_children(hub: &impl Asked, instance: InstanceId) -> Result<usize, Answer> {
    purgeable(hub, &instance).await?;
    let children = children(hub, instance.clone()).await?;
    let count = purge_ended(hub, children, true).await?;
    match hub.ask(instance, Verb::Purge).await {
        Answer::Done => Ok(count + 1),
        other => Err(other),
    }
}

/// Forgets those of the instances that are there and have ended or are parked, `with_children`
/// also what they called and that has ended or is parked: how many they were.
pub async fn purge_ended(
    hub: &impl Asked,
    instances: Vec<InstanceId>,
    with_children: bool,
) -> Result<usize, Answer> {
    let mut generations = vec![instances];
    while with_children && let Some(parents) = generations.last().filter(|it| !it.is_empty()) {
        let families: Vec<_> = parents.iter().map(|parent| children(hub, parent.clone())).collect();
        let families = stream::iter(families).buffer_unordered(READS_AT_ONCE);
        generations.push(families.try_concat().await?);
    }
    if mutated(Mutation::PurgeOldest) {
        generations.reverse();
    }
    // Whoever is gone tells nobody any more whom it called: the youngest go first.
    let mut count = 0;
    while let Some(generation) = generations.pop() {
        let purges: Vec<_> = generation.into_iter().map(|id| hub.ask(id, Verb::Purge)).collect();
        let mut purges = stream::iter(purges).buffer_unordered(PURGES_AT_ONCE);
        while let Some(answer) = purges.next().await {
            match answer {
                Answer::Done => count += 1,
                answer if is_nothing_to_purge(&answer) => {}
                other => return Err(other),
            }
        }
    }
    Ok(count)
}

/// The children that an instance called, and that can be forgotten; none of one that lives.
async fn children(hub: &impl Asked, parent: InstanceId) -> Result<Vec<InstanceId>, Answer> {
    match purgeable(hub, &parent).await {
        Ok(_) => {}
        Err(answer) if is_nothing_to_purge(&answer) => return Ok(Vec::new()),
        Err(other) => return Err(other),
    }
    let history = match hub.history(parent.clone()).await {
        Ok(history) => history.unwrap_or_default(),
        // What cannot be read calls nobody.
        Err(StoreError::Damaged(_)) => Vec::new(),
        Err(error) => {
            return Err(Answer::Refused(Refusal::Unavailable(parent, error.to_string())));
        }
    };
    let mut called = BTreeSet::new();
    for event in history {
        match event.kind {
            Kind::ChildScheduled { instance, .. } => drop(called.insert(instance)),
            Kind::Started(started) if !mutated(Mutation::PurgeLatest) => {
                called.extend(started.inherited.iter().map(|child| child.instance.clone()));
            }
            _ => {}
        }
    }
    let asked: Vec<_> = called.into_iter().map(|child| own(hub, child, &parent)).collect();
    let asked = stream::iter(asked).buffer_unordered(PURGES_AT_ONCE);
    Ok(asked.try_collect::<Vec<_>>().await?.into_iter().flatten().collect())
}

/// An instance, if it is a child of that parent and can be forgotten. Another may have taken its
/// id.
async fn own(
    hub: &impl Asked,
    id: InstanceId,
    parent: &InstanceId,
) -> Result<Option<InstanceId>, Answer> {
    match purgeable(hub, &id).await {
        Ok(record) => {
            let is_own = record.parent.as_ref().is_some_and(|it| it.instance == *parent);
            Ok((is_own || mutated(Mutation::PurgeStrangers)).then_some(id))
        }
        Err(answer) if is_nothing_to_purge(&answer) => Ok(None),
        Err(other) => Err(other),
    }
}

/// The record of an instance that has ended or is parked, or else what is to be answered.
pub(crate) async fn purgeable(hub: &impl Asked, instance: &InstanceId) -> Result<Record, Answer> {
    match hub.ask(instance.clone(), Verb::Status).await {
        Answer::Status(record) if record.status.is_terminal() || record.stuck.is_some() => {
            Ok(*record)
        }
        Answer::Status(record) => {
            Err(Answer::Refused(Refusal::NotEnded(instance.clone(), record.status)))
        }
        other => Err(other),
    }
}

/// Whether an instance is not there, or has not ended.
fn is_nothing_to_purge(answer: &Answer) -> bool {
    matches!(answer, Answer::Refused(Refusal::NotFound(_) | Refusal::NotEnded(..)))
}
