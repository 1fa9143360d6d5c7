//! Where an instance stands.

use std::collections::BTreeMap;

use taskhub_core::{InstanceId, Outcome, Record, RuntimeStatus, Text};

use crate::{Data, Failure, Result, Timestamp, data::decode};

/// Where an instance stands, as last committed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Its id.
    pub id: InstanceId,
    /// The orchestration's name.
    pub name: Text,
    /// The orchestration's version, if it has one.
    pub version: Option<Text>,
    /// Where it stands.
    pub status: RuntimeStatus,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// Its labels.
    pub tags: BTreeMap<Text, Text>,
    /// The instance that called it, for a child.
    pub parent: Option<InstanceId>,
    /// Why it is parked: it cannot go on until a person helps, then resumes it.
    pub stuck: Option<Text>,
    /// Why nothing happens though it is not parked: nobody here runs its orchestration. Lists, and
    /// clients of a hub that others run functions for, do not tell.
    pub hint: Option<Text>,
    /// How many events its history has.
    pub events: u64,
    pub(super) outcome: Option<Outcome>,
    custom: Option<Text>,
}

impl Status {
    pub(super) fn of(id: InstanceId, record: Record) -> Self {
        Self {
            id,
            name: record.name,
            version: record.version,
            status: record.status,
            created_at: Timestamp::of(record.created_at),
            updated_at: Timestamp::of(record.updated_at),
            completed_at: record.completed_at.map(Timestamp::of),
            tags: record.tags.iter().cloned().collect(),
            parent: record.parent.map(|parent| parent.instance),
            stuck: record.stuck,
            hint: None,
            events: record.events,
            outcome: record.outcome,
            custom: record.custom_status,
        }
    }

    /// Whether it has ended, however it did.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.status.is_terminal()
    }

    /// What it gave, once it has ended; the failure if it failed. The output of a terminated
    /// instance is the reason, which is no JSON: see [`output_text`](Self::output_text).
    #[must_use]
    pub fn output<T: Data>(&self) -> Option<Result<T>> {
        let outcome = self.outcome.clone()?;
        let what = format!("the output of `{}`", self.name);
        let output = outcome.map_err(Failure::of);
        Some(output.and_then(|output| decode(output.as_deref(), &what)))
    }

    /// Its output as it is stored.
    #[must_use]
    pub fn output_text(&self) -> Option<&str> {
        self.outcome.as_ref()?.as_ref().ok()?.as_deref()
    }

    /// Why it failed, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        self.outcome.as_ref()?.as_ref().err().cloned().map(Failure::of)
    }

    /// What the code shows to the outside, if it set something.
    pub fn custom_status<T: Data>(&self) -> Result<Option<T>> {
        let custom = self.custom.as_deref();
        custom.map(|text| decode(Some(text), "the custom status")).transpose()
    }

    /// What the code shows to the outside, as it is stored.
    #[must_use]
    pub fn custom_status_text(&self) -> Option<&str> {
        self.custom.as_deref()
    }
}
