//! A history as a stream: every event, one per line, in bounded memory however long it is. An
//! addition to the original.

use axum::response::Response;
use futures::{Stream, TryStreamExt as _, stream};
use serde_json::value::{RawValue, to_raw_value};
use taskhub_core::{ExecutionId, InstanceId, Record};
use taskhub_engine::Hub;

use super::{
    answer,
    call::{Answered, Call, Refused, absent, named},
    history::{Shown, entry},
    lines,
};

/// How many events are read at a time.
const PART_COUNT: u64 = 256;

/// Where the reading stands.
struct Reading {
    hub: Hub,
    id: InstanceId,
    record: Box<Record>,
    shown: Shown,
    execution: Option<ExecutionId>,
    from: u64,
}

impl Call {
    /// `GET instances/{id}/history`
    pub(super) async fn history(self, id: &str) -> Answered<Response> {
        let id = named(id).ok_or_else(absent)?;
        let record = self.record(&id).await?.ok_or_else(absent)?;
        let shown = Shown::asked(&self.query);
        let hub = self.hub.clone();
        let reading = Reading { hub, id, record, shown, execution: None, from: 0 };
        Ok(lines::response(reading.events()))
    }
}

impl Reading {
    fn events(self) -> impl Stream<Item = Answered<Box<RawValue>>> + Send + 'static {
        let parts = stream::try_unfold(Some(self), |reading| async {
            let Some(mut reading) = reading else { return Ok::<_, Refused>(None) };
            let (events, more) = reading.part().await?;
            Ok(Some((stream::iter(events.into_iter().map(Ok)), more.then_some(reading))))
        });
        parts.try_flatten()
    }

    /// The next events, as they are shown, and whether there are more.
    async fn part(&mut self) -> Answered<(Vec<Box<RawValue>>, bool)> {
        let part = self.hub.history_from(self.id.clone(), self.from, PART_COUNT).await;
        let part = part.map_err(answer::unreadable)?;
        if self.from > 0 && part.execution != self.execution {
            let why =
                "another execution of the instance has begun: read its history from the start";
            return Err(answer::try_again(&why).into());
        }
        self.execution = part.execution;
        let events = part.events.iter().map(|event| {
            let line = entry(event, &self.record, self.shown).numbered(event);
            to_raw_value(&line).unwrap_or_else(|_| RawValue::NULL.to_owned())
        });
        let events = events.collect();
        self.from = part.next.unwrap_or(self.from);
        Ok((events, part.next.is_some()))
    }
}
