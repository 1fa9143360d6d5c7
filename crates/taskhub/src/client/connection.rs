//! The way to a hub: in this process, or to the server that has it.

use std::{fmt, time::SystemTime};

use taskhub_core::{
    Answer, EntityMetadata, Event, ExecutionId, InstanceId, Record, Refusal, Reuse, Verb,
    store::{self, Cursor},
};
use taskhub_engine::Hub;
use taskhub_link::{Link, LinkError, Listed};
use uuid::Uuid;

use super::{Cleaned, HubError};
use crate::Timestamp;

/// How many ids are tried: on one of ten nodes, one in a thousand lives elsewhere then.
const FRESH_TRIES: usize = 64;

/// A hub that can be asked. Clones are the same way.
#[derive(Clone)]
pub(crate) enum Connection {
    /// It runs in this process.
    Here(Hub),
    /// A server has it.
    There(Link),
}

/// Where a page of a list begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// Behind this instance.
    Behind(Cursor),
    /// Where the server says.
    Token(String),
}

/// A refusal, sorted into what is about the instance and what is about the hub.
#[derive(Debug)]
pub(crate) enum Refused {
    Instance(Refusal),
    Hub(HubError),
}

/// A part of a list, and where the next one begins.
type Part<T> = (Vec<T>, Option<Place>);

impl Connection {
    /// Asks the owner of an instance.
    pub(crate) async fn ask(&self, id: InstanceId, verb: Verb) -> Result<Answer, Refused> {
        match self {
            Self::Here(hub) => told(hub.ask(id, verb).await),
            // A call over the wire is much larger, and those here may be many.
            Self::There(link) => told(Box::pin(link.ask(&id, verb)).await?),
        }
    }

    /// A fresh execution, which sorts by time, whose instance lives in this process if it has no
    /// other id: what it is asked is not passed on. Should none be found soon, any will do.
    pub(super) fn fresh_here(&self) -> ExecutionId {
        let fresh = || ExecutionId(Uuid::now_v7().as_u128());
        let Self::Here(hub) = self else { return fresh() };
        let mut tries = std::iter::repeat_with(fresh).take(FRESH_TRIES);
        tries.find(|it| hub.is_here(&InstanceId::fresh(*it))).unwrap_or_else(fresh)
    }

    /// Forgets an instance that has ended, and what it called.
    pub(super) async fn purge_with_children(&self, id: InstanceId) -> Result<Answer, Refused> {
        match self {
            Self::Here(hub) => {
                let purged = hub.purge_with_children(id).await;
                told(purged.map_or_else(|answer| answer, |_| Answer::Done))
            }
            Self::There(link) => told(link.purge(&id, true).await?),
        }
    }

    /// Starts once more what an instance that has ended was started with.
    pub(super) async fn restart(
        &self,
        ended: InstanceId,
        id: InstanceId,
        reuse: Reuse,
        execution: ExecutionId,
    ) -> Result<Answer, Refused> {
        match self {
            Self::Here(hub) => told(hub.restart(ended, id, reuse, execution).await),
            Self::There(link) => told(link.restart(&ended, &id, &reuse, execution).await?),
        }
    }

    /// What time it is for the hub; a server's clock is taken to agree with that of this machine.
    pub(super) fn now(&self) -> Timestamp {
        match self {
            Self::Here(hub) => Timestamp::of(hub.now()),
            Self::There(_) => SystemTime::now().into(),
        }
    }

    pub(super) async fn list(
        &self,
        filter: store::Filter,
        from: Option<Place>,
    ) -> Result<Part<(InstanceId, Record)>, HubError> {
        match self {
            Self::Here(hub) => {
                let page = hub.query(behind(filter, from)).await?;
                Ok((page.instances, page.next.map(Place::Behind)))
            }
            Self::There(link) => Ok(part(link.list(&filter, token(from)).await?)),
        }
    }

    pub(super) async fn history(&self, id: InstanceId) -> Result<Option<Vec<Event>>, HubError> {
        match self {
            Self::Here(hub) => Ok(hub.history(id).await?),
            Self::There(link) => Ok(link.history(&id).await?),
        }
    }

    pub(super) async fn entity(&self, id: InstanceId) -> Result<Option<EntityMetadata>, HubError> {
        match self {
            Self::Here(hub) => Ok(hub.entity(id).await?),
            Self::There(link) => Ok(link.entity(&id).await?),
        }
    }

    pub(super) async fn entities(
        &self,
        filter: store::Filter,
        from: Option<Place>,
    ) -> Result<Part<EntityMetadata>, HubError> {
        match self {
            Self::Here(hub) => {
                let page = hub.entities(behind(filter, from)).await?;
                Ok((page.entities, page.next.map(Place::Behind)))
            }
            Self::There(link) => Ok(part(link.entities(&filter, token(from)).await?)),
        }
    }

    /// Cleans up a page of entities.
    pub(super) async fn clean_entities(
        &self,
        from: Option<Place>,
        limit: usize,
    ) -> Result<(Cleaned, Option<Place>), HubError> {
        match self {
            Self::Here(hub) => {
                let after = behind(store::Filter::default(), from).after;
                let page = hub.clean_entities(after, limit).await?;
                let cleaned = Cleaned { removed: page.removed, released: page.released };
                Ok((cleaned, page.next.map(Place::Behind)))
            }
            Self::There(link) => {
                let page = link.clean_entities(token(from)).await?;
                let cleaned = Cleaned { removed: page.removed, released: page.released };
                Ok((cleaned, page.next.map(Place::Token)))
            }
        }
    }
}

fn part<T>(page: Listed<T>) -> Part<T> {
    (page.items, page.next.map(Place::Token))
}

fn told(answer: Answer) -> Result<Answer, Refused> {
    match answer {
        Answer::Refused(refusal) => Err(Refused::of(refusal)),
        answer => Ok(answer),
    }
}

fn behind(filter: store::Filter, from: Option<Place>) -> store::Filter {
    match from {
        Some(Place::Behind(cursor)) => store::Filter { after: Some(cursor), ..filter },
        Some(Place::Token(_)) | None => filter,
    }
}

fn token(from: Option<Place>) -> Option<String> {
    match from {
        Some(Place::Token(token)) => Some(token),
        Some(Place::Behind(_)) | None => None,
    }
}

impl Refused {
    fn of(refusal: Refusal) -> Self {
        match HubError::of(refusal) {
            Ok(error) => Self::Hub(error),
            Err(refusal) => Self::Instance(refusal),
        }
    }
}

impl From<LinkError> for Refused {
    fn from(error: LinkError) -> Self {
        Self::Hub(error.into())
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instance(refusal) => refusal.fmt(f),
            Self::Hub(error) => error.fmt(f),
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here(hub) => hub.fmt(f),
            Self::There(link) => link.fmt(f),
        }
    }
}
