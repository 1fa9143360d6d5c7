//! How events, messages and records are written: protobuf with fixed field numbers.
//!
//! The numbers in `schema` never change their meaning and are never used again, so every later
//! version reads what every earlier one wrote. Unknown fields are skipped; an unknown kind of
//! event is an error, since skipping it would replay another history.

mod events;
mod messages;
mod schema;
mod values;

use std::fmt;

use bytes::Bytes;
use prost::Message as _;

use crate::{Event, Message, Outcome, Parent, Tags};

/// Why bytes could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are no {what}: {why}")]
pub struct DecodeError {
    what: &'static str,
    why: String,
}

impl DecodeError {
    fn new(what: &'static str, why: impl fmt::Display) -> Self {
        Self { what, why: why.to_string() }
    }
}

/// Encodes the events of one commit.
#[must_use]
pub fn encode_events(events: &[Event]) -> Bytes {
    let events = events.iter().map(schema::Event::from).collect();
    schema::Events { events }.encode_to_vec().into()
}

/// Decodes the events of one commit.
pub fn decode_events(bytes: &[u8]) -> Result<Vec<Event>, DecodeError> {
    let wire =
        schema::Events::decode(bytes).map_err(|why| DecodeError::new("history events", why))?;
    wire.events.into_iter().map(Event::try_from).collect()
}

/// Decodes the first event of a commit, whatever comes behind it.
pub(crate) fn decode_first(bytes: &[u8]) -> Result<Event, DecodeError> {
    const EVENTS: u8 = 1 << 3 | 2; // The key of a field 1 with a length.
    let first = bytes.strip_prefix(&[EVENTS]).unwrap_or_default();
    schema::Event::decode_length_delimited(first)
        .map_err(|why| DecodeError::new("first event", why))?
        .try_into()
}

/// Decodes a whole history from its pieces.
pub fn decode_history(pieces: &[Bytes]) -> Result<Vec<Event>, DecodeError> {
    let mut events = Vec::new();
    for piece in pieces {
        events.extend(decode_events(piece)?);
    }
    Ok(events)
}

/// Encodes a message between instances.
#[must_use]
pub fn encode_message(message: &Message) -> Bytes {
    schema::Message::from(message).encode_to_vec().into()
}

/// Decodes a message between instances.
pub fn decode_message(bytes: &[u8]) -> Result<Message, DecodeError> {
    schema::Message::decode(bytes).map_err(|why| DecodeError::new("message", why))?.try_into()
}

/// Encodes how something ended.
#[must_use]
pub fn encode_outcome(outcome: &Outcome) -> Bytes {
    schema::Outcome::from(outcome).encode_to_vec().into()
}

/// Decodes how something ended.
pub fn decode_outcome(bytes: &[u8]) -> Result<Outcome, DecodeError> {
    schema::Outcome::decode(bytes)
        .map(Outcome::from)
        .map_err(|why| DecodeError::new("outcome", why))
}

/// Encodes labels.
#[must_use]
pub fn encode_tags(tags: &Tags) -> Bytes {
    schema::Tags { tags: values::tags_out(tags) }.encode_to_vec().into()
}

/// Decodes labels.
pub fn decode_tags(bytes: &[u8]) -> Result<Tags, DecodeError> {
    schema::Tags::decode(bytes)
        .map(|wire| values::tags_in(wire.tags))
        .map_err(|why| DecodeError::new("tags", why))
}

/// Encodes who called an instance.
#[must_use]
pub fn encode_parent(parent: &Parent) -> Bytes {
    schema::Parent::from(parent).encode_to_vec().into()
}

/// Decodes who called an instance.
pub fn decode_parent(bytes: &[u8]) -> Result<Parent, DecodeError> {
    schema::Parent::decode(bytes).map_err(|why| DecodeError::new("parent", why))?.try_into()
}
