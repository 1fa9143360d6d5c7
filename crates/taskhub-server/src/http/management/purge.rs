//! Instances, forgotten: one, or all that match and have ended.

use axum::{http::StatusCode, response::Response};
use serde_json::json;
use taskhub_core::{Answer, Record, Refusal, RuntimeStatus, Verb, store::Filter};

use super::{
    answer,
    call::{Answered, Call, absent, named},
    list::filter,
};

/// How many instances are listed at a time.
const PAGE_COUNT: usize = 1_000;

/// What the names of the library's own orchestrations begin with: those behind triggers, which
/// remember what was handled. Only who names one by its id, or by a prefix, means them.
const OWN_NAMES: &str = "taskhub.";

impl Call {
    /// `DELETE instances/{id}`
    pub(super) async fn purge(self, id: &str) -> Answered<Response> {
        let id = named(id).ok_or_else(absent)?;
        match self.hub.ask(id.clone(), Verb::Purge).await {
            Answer::Done => Ok(answer::json(StatusCode::OK, &json!({ "instancesDeleted": 1 }))),
            // Of entities the original does not look whether they are there.
            Answer::Refused(Refusal::NotFound(id)) if id.as_entity().is_some() => {
                Ok(answer::json(StatusCode::OK, &json!({ "instancesDeleted": 0 })))
            }
            Answer::Refused(Refusal::NotEnded(_, status)) => {
                let message = format!(
                    "Only orchestrations in a terminal state can be purged, but the orchestration \
                     with instance ID {id} has status {status:?}"
                );
                Ok(answer::json(StatusCode::PRECONDITION_FAILED, &message))
            }
            other => Ok(answer::refused(&other)),
        }
    }

    /// `DELETE instances`
    pub(super) async fn purge_many(self) -> Answered<Response> {
        let mut filter = filter(&self.query)?;
        if filter.created_from.is_none() {
            let message = "Please provide value for 'createdTimeFrom' parameter.";
            return Ok(answer::json(StatusCode::BAD_REQUEST, &message));
        }
        filter.created_to = filter.created_to.or_else(|| Some(self.hub.now()));
        filter.statuses = ended(&filter.statuses);
        filter.limit = PAGE_COUNT;
        let mut count = 0;
        let mut next = Some(filter).filter(|filter| !filter.statuses.is_empty());
        while let Some(filter) = next {
            let page = self.page(filter.clone()).await?;
            let meant = page.instances.into_iter().filter(|(_, it)| is_meant(&filter, it));
            let purged = self.hub.purge_ended(meant.map(|(id, _)| id).collect(), false).await;
            count += purged.map_err(|answer| answer::refused(&answer))?;
            next = page.next.map(|after| Filter { after: Some(after), ..filter });
        }
        if count == 0 {
            return Err(absent());
        }
        Ok(answer::json(StatusCode::OK, &json!({ "instancesDeleted": count })))
    }
}

/// Those of the statuses that stand for an end; all ends when there are none.
pub(super) fn ended(asked: &[RuntimeStatus]) -> Vec<RuntimeStatus> {
    let asked = if asked.is_empty() { &RuntimeStatus::ALL } else { asked };
    asked.iter().copied().filter(|status| status.is_terminal()).collect()
}

/// Whether who lists instances so means this one too.
pub(super) fn is_meant(filter: &Filter, record: &Record) -> bool {
    filter.prefix.is_some() || !is_own(record)
}

/// Whether it is one of the library's own.
pub(crate) fn is_own(record: &Record) -> bool {
    record.name.starts_with(OWN_NAMES)
}
