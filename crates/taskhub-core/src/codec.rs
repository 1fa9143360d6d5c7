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

/// The key of a field 1 with a length, as each event has it.
const EVENTS: u8 = 1 << 3 | 2;

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
    let first = bytes.strip_prefix(&[EVENTS]).unwrap_or_default();
    schema::Event::decode_length_delimited(first)
        .map_err(|why| DecodeError::new("first event", why))?
        .try_into()
}

/// Cuts the events of one commit where they are more than so many bytes: pieces that can each be
/// decoded, with the number of the first event in them. A single event is not cut.
pub(crate) fn cut(events: &[u8], bytes_max: usize) -> Vec<(u64, &[u8])> {
    if events.len() <= bytes_max {
        return vec![(0, events)];
    }
    let mut pieces = Vec::new();
    let (mut rest, mut at, mut first, mut count) = (events, 0, 0, 0);
    while let Some(length) = first_length(&rest[at..]) {
        if at > 0 && at + length > bytes_max {
            pieces.push((first, &rest[..at]));
            (rest, at, first) = (&rest[at..], 0, count);
        }
        at += length;
        count += 1;
    }
    pieces.push((first, rest));
    pieces
}

/// How many bytes the first event has, with what stands before it.
fn first_length(events: &[u8]) -> Option<usize> {
    let rest = events.strip_prefix(&[EVENTS])?;
    let length = prost::decode_length_delimiter(rest).ok()?;
    let all = length.checked_add(1 + prost::length_delimiter_len(length))?;
    (all <= events.len()).then_some(all)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, Timestamp};

    #[test]
    fn many_events_are_cut_into_pieces_that_come_to_the_same() {
        let raised = |length: usize| Kind::EventRaised {
            name: "go".into(),
            input: Some("x".repeat(length).into()),
        };
        let lengths = [1, 500, 30, 2_000, 7, 7, 130, 0];
        let events = lengths.map(|length| Event { at: Timestamp(1), kind: raised(length) });
        let whole = encode_events(&events);
        for bytes_max in [0, 1, 100, 600, 5_000] {
            let pieces = cut(&whole, bytes_max);
            let mut read = Vec::new();
            for (first, piece) in &pieces {
                assert_eq!(*first, read.len() as u64);
                let events = decode_events(piece).expect("it is cut between events");
                assert!(piece.len() <= bytes_max || events.len() == 1);
                read.extend(events);
            }
            assert_eq!(read, events);
        }
        assert_eq!(cut(&whole, 0).len(), lengths.len());
        assert_eq!(cut(b"no events", 1), [(0, &b"no events"[..])], "it stays what it is");
    }
}
