//! What is done with instances that have ended: they are started again, or forgotten with their
//! children.

use taskhub_core::{
    Answer, ExecutionId, InstanceId, Kind, Record, Refusal, Reuse, Started, Verb, store::StoreError,
};

use super::Hub;

impl Hub {
    /// Starts once more what an instance that has ended was started with: the same function and
    /// version, the same input and labels. `id` may be the same; `execution` names the new run.
    pub async fn restart(
        &self,
        ended: InstanceId,
        id: InstanceId,
        reuse: Reuse,
        execution: ExecutionId,
    ) -> Answer {
        if let Err(refused) = self.ended(&ended).await {
            return refused;
        }
        let first = match self.started(ended.clone()).await {
            Ok(Some(first)) => first,
            Ok(None) => return Answer::Refused(Refusal::NotFound(ended)),
            Err(error) => return Answer::Refused(Refusal::Unavailable(ended, error.to_string())),
        };
        let started = Box::new(first.again(execution));
        self.ask(id, Verb::Start { started, reuse }).await
    }

    /// How the present execution of an instance began; `None` when there is no such instance, or it
    /// is an entity.
    pub async fn started(&self, instance: InstanceId) -> Result<Option<Started>, StoreError> {
        let first = self.history_from(instance, 0, 1).await?;
        Ok(first.events.into_iter().find_map(|event| match event.kind {
            Kind::Started(started) => Some(*started),
            _ => None,
        }))
    }

    /// Forgets an instance that has ended, and before it all that it called and that has ended,
    /// however deep. What was interrupted can be repeated.
    pub async fn purge_with_children(&self, instance: InstanceId) -> Answer {
        if let Err(refused) = self.ended(&instance).await {
            return refused;
        }
        let mut family = vec![instance];
        let mut known = 0;
        while let Some(parent) = family.get(known).cloned() {
            known += 1;
            match self.children_that_ended(&parent).await {
                Ok(children) => family.extend(children),
                Err(refused) => return refused,
            }
        }
        while let Some(member) = family.pop() {
            let answer = self.ask(member, Verb::Purge).await;
            let is_passed_over = matches!(
                answer,
                Answer::Done | Answer::Refused(Refusal::NotFound(_) | Refusal::NotEnded(..))
            );
            // The eldest is last, and its answer is that of all.
            if family.is_empty() || !is_passed_over {
                return answer;
            }
        }
        Answer::Done
    }

    /// The children that an instance called, and that have ended.
    async fn children_that_ended(&self, parent: &InstanceId) -> Result<Vec<InstanceId>, Answer> {
        // What cannot be read calls nobody.
        let history = self.history(parent.clone()).await.ok().flatten().unwrap_or_default();
        let mut children = Vec::new();
        for event in history {
            let Kind::ChildScheduled { instance, .. } = event.kind else { continue };
            match self.ended(&instance).await {
                Ok(record) if record.parent.as_ref().is_some_and(|it| it.instance == *parent) => {
                    children.push(instance);
                }
                // It is somebody else's, lives, or is gone.
                Ok(_) | Err(Answer::Refused(Refusal::NotFound(_) | Refusal::NotEnded(..))) => {}
                Err(refused) => return Err(refused),
            }
        }
        children.sort_unstable();
        children.dedup();
        Ok(children)
    }

    /// The record of an instance that has ended, or else what is to be answered.
    async fn ended(&self, instance: &InstanceId) -> Result<Record, Answer> {
        match self.ask(instance.clone(), Verb::Status).await {
            Answer::Status(record) if record.status.is_terminal() => Ok(*record),
            Answer::Status(record) => {
                Err(Answer::Refused(Refusal::NotEnded(instance.clone(), record.status)))
            }
            other => Err(other),
        }
    }
}
