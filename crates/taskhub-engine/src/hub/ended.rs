//! What is done with instances once they have ended: they are started again, or forgotten with
//! their children.

use taskhub_core::{Answer, ExecutionId, InstanceId, Record, Refusal, Reuse, Verb};

use super::Hub;
use crate::chores;

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
        chores::purge_with_children(self, instance).await
    }

    /// Forgets those of the instances that are there and have ended or are parked, `with_children`
    /// also what they called and that has ended or is parked: how many they were.
    pub async fn purge_ended(
        &self,
        instances: Vec<InstanceId>,
        with_children: bool,
    ) -> Result<usize, Answer> {
        chores::purge_ended(self, instances, with_children).await
    }

    /// The record of an instance that has ended, or else what is to be answered.
    async fn ended(&self, instance: &InstanceId) -> Result<Record, Answer> {
        match chores::purgeable(self, instance).await? {
            record if record.status.is_terminal() => Ok(record),
            record => Err(Answer::Refused(Refusal::NotEnded(instance.clone(), record.status))),
        }
    }
}
