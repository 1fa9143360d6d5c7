//! What is done with instances once they have ended: they are started again, or forgotten with
//! their children.

use std::collections::BTreeSet;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use taskhub_core::{
    Answer, ExecutionId, InstanceId, Kind, Record, Refusal, Reuse, Verb, store::StoreError,
};

use super::Hub;

/// How many instances are purged at the same time, and how many histories are read for it.
const PURGES_AT_ONCE: usize = 64;
const READS_AT_ONCE: usize = 4;

impl Hub {
    /// Starts once more what an instance was started with: the same function and version, the same
    /// input and labels. `id` may be the same if it has ended; `execution` names the new run.
    pub async fn restart(
        &self,
        first: InstanceId,
        id: InstanceId,
        reuse: Reuse,
        execution: ExecutionId,
    ) -> Answer {
        if first == id
            && let Err(refused) = self.ended(&first).await
        {
            return refused;
        }
        let first = match self.started(first.clone()).await {
            Ok(Some(started)) => started,
            Ok(None) => return Answer::Refused(Refusal::NotFound(first)),
            Err(error) => return Answer::Refused(Refusal::Unavailable(first, error.to_string())),
        };
        let started = Box::new(first.again(execution));
        self.ask(id, Verb::Start { started, reuse }).await
    }

    /// Forgets an instance that has ended or is parked, and before it all that it called and that
    /// has ended or is parked, however deep: how many they were. What was interrupted can be
    /// repeated.
    pub async fn purge_with_children(&self, instance: InstanceId) -> Result<usize, Answer> {
        self.purgeable(&instance).await?;
        let children = self.children(instance.clone()).await?;
        let count = self.purge_ended(children, true).await?;
        match self.ask(instance, Verb::Purge).await {
            Answer::Done => Ok(count + 1),
            other => Err(other),
        }
    }

    /// Forgets those of the instances that are there and have ended or are parked, `with_children`
    /// also what they called and that has ended or is parked: how many they were.
    pub async fn purge_ended(
        &self,
        instances: Vec<InstanceId>,
        with_children: bool,
    ) -> Result<usize, Answer> {
        let mut generations = vec![instances];
        while with_children && let Some(parents) = generations.last().filter(|it| !it.is_empty()) {
            let families: Vec<_> =
                parents.iter().map(|parent| self.children(parent.clone())).collect();
            let families = stream::iter(families).buffer_unordered(READS_AT_ONCE);
            generations.push(families.try_concat().await?);
        }
        // Whoever is gone tells nobody any more whom it called: the youngest go first.
        let mut count = 0;
        while let Some(generation) = generations.pop() {
            let purges: Vec<_> =
                generation.into_iter().map(|id| self.ask(id, Verb::Purge)).collect();
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
    async fn children(&self, parent: InstanceId) -> Result<Vec<InstanceId>, Answer> {
        match self.purgeable(&parent).await {
            Ok(_) => {}
            Err(answer) if is_nothing_to_purge(&answer) => return Ok(Vec::new()),
            Err(other) => return Err(other),
        }
        let history = match self.history(parent.clone()).await {
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
                Kind::Started(started) => {
                    called.extend(started.inherited.iter().map(|child| child.instance.clone()));
                }
                _ => {}
            }
        }
        let asked: Vec<_> = called.into_iter().map(|child| self.child(child, &parent)).collect();
        let asked = stream::iter(asked).buffer_unordered(PURGES_AT_ONCE);
        Ok(asked.try_collect::<Vec<_>>().await?.into_iter().flatten().collect())
    }

    /// An instance, if it is a child of that parent and can be forgotten. Another may have taken
    /// its id.
    async fn child(
        &self,
        id: InstanceId,
        parent: &InstanceId,
    ) -> Result<Option<InstanceId>, Answer> {
        match self.purgeable(&id).await {
            Ok(record) => {
                let is_own = record.parent.as_ref().is_some_and(|it| it.instance == *parent);
                Ok(is_own.then_some(id))
            }
            Err(answer) if is_nothing_to_purge(&answer) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// The record of an instance that has ended, or else what is to be answered.
    async fn ended(&self, instance: &InstanceId) -> Result<Record, Answer> {
        match self.purgeable(instance).await? {
            record if record.status.is_terminal() => Ok(record),
            record => Err(Answer::Refused(Refusal::NotEnded(instance.clone(), record.status))),
        }
    }

    /// The record of an instance that has ended or is parked, or else what is to be answered.
    async fn purgeable(&self, instance: &InstanceId) -> Result<Record, Answer> {
        match self.ask(instance.clone(), Verb::Status).await {
            Answer::Status(record) if record.status.is_terminal() || record.stuck.is_some() => {
                Ok(*record)
            }
            Answer::Status(record) => {
                Err(Answer::Refused(Refusal::NotEnded(instance.clone(), record.status)))
            }
            other => Err(other),
        }
    }
}

/// Whether an instance is not there, or has not ended.
fn is_nothing_to_purge(answer: &Answer) -> bool {
    matches!(answer, Answer::Refused(Refusal::NotFound(_) | Refusal::NotEnded(..)))
}
