//! Where one instance stands.

use axum::{
    http::{
        HeaderValue, StatusCode,
        header::{LOCATION, RETRY_AFTER},
    },
    response::Response,
};
use serde::Serialize;
use serde_json::value::RawValue;
use taskhub_core::{Event, InstanceId, Kind, Record, RuntimeStatus, Text};
use taskhub_engine::Hub;

use super::{
    answer::{self, quoted, shown},
    call::{Answered, Call, absent, named},
    history::{Entry, Shown, entries},
    links::Links,
    query::in_seconds,
};

/// How long clients are asked to wait before they look again at an instance that runs.
const RETRY_RUNNING: HeaderValue = HeaderValue::from_static("5");

/// An instance as it is shown, in the order in which clients know the fields.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InstanceStatus<'a> {
    name: &'a str,
    instance_id: &'a str,
    runtime_status: String,
    input: Box<RawValue>,
    custom_status: Box<RawValue>,
    output: Box<RawValue>,
    created_time: String,
    last_updated_time: String,
    /// An addition: why it is parked.
    #[serde(skip_serializing_if = "Option::is_none")]
    stuck: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    history_events: Option<Vec<Entry<'a>>>,
}

impl<'a> InstanceStatus<'a> {
    pub(super) fn of(id: &'a InstanceId, record: &'a Record, input: Option<&str>) -> Self {
        Self {
            name: &record.name,
            instance_id: id.as_str(),
            runtime_status: format!("{:?}", record.status),
            input: shown(input),
            custom_status: shown(record.custom_status.as_deref()),
            output: output(record),
            created_time: in_seconds(record.created_at),
            last_updated_time: in_seconds(record.updated_at),
            stuck: record.stuck.as_deref(),
            history_events: None,
        }
    }

    /// About how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        [&self.input, &self.custom_status, &self.output].iter().map(|it| it.get().len()).sum()
    }
}

/// What an instance came to: its output, why it failed, or why it was ended.
pub(super) fn output(record: &Record) -> Box<RawValue> {
    match &record.outcome {
        Some(Ok(output)) => shown(output.as_deref()),
        Some(Err(failure)) => quoted(Some(&failure.to_string())),
        None => shown(None),
    }
}

impl Call {
    /// `GET instances/{id}`
    pub(super) async fn status(self, id: &str) -> Answered<Response> {
        let id = named(id).ok_or_else(absent)?;
        let record = self.record(&id).await?.ok_or_else(absent)?;
        let _turn = self.read().await?;
        status(&self.hub, &self.links, &id, &record).await
    }
}

/// The answer about an instance that is there; what it shows is up to the query.
pub(super) async fn status(
    hub: &Hub,
    links: &Links,
    id: &InstanceId,
    record: &Record,
) -> Answered<Response> {
    let query = links.query();
    let shown = Shown::asked(&query);
    let has_begun = record.status != RuntimeStatus::Pending;
    let history = if query.flag("showHistory").unwrap_or(false) && has_begun {
        Some(hub.history(id.clone()).await.map_err(answer::unreadable)?.unwrap_or_default())
    } else {
        None
    };
    let input = match (&history, shown.inputs) {
        (_, false) => None,
        (Some(history), true) => started_with(history),
        (None, true) => input(hub, id).await?,
    };
    let mut status = InstanceStatus::of(id, record, input.as_deref());
    status.history_events = history.as_ref().map(|history| entries(history, record, shown));
    let code = match record.status {
        RuntimeStatus::Failed if links.fails_with_500() => StatusCode::INTERNAL_SERVER_ERROR,
        ended if ended.is_terminal() => StatusCode::OK,
        _ => StatusCode::ACCEPTED,
    };
    let mut response = answer::json(code, &status);
    if code == StatusCode::ACCEPTED {
        if let Ok(location) = HeaderValue::from_str(&links.own()) {
            response.headers_mut().insert(LOCATION, location);
        }
        response.headers_mut().insert(RETRY_AFTER, RETRY_RUNNING);
    }
    Ok(response)
}

/// What an instance was started with; read from the beginning of its history alone.
async fn input(hub: &Hub, id: &InstanceId) -> Answered<Option<Text>> {
    let started = hub.started(id.clone()).await.map_err(answer::unreadable)?;
    Ok(started.and_then(|started| started.input))
}

fn started_with(history: &[Event]) -> Option<Text> {
    history.iter().find_map(|event| match &event.kind {
        Kind::Started(started) => started.input.clone(),
        _ => None,
    })
}
