//! The story of a run: always as a hash, on demand in words.

use taskhub_core::{Change, HistoryChange, TurnRecord, codec};

/// Takes note of what happens.
#[derive(Debug, Default)]
pub struct Trace {
    hash: u64,
    spoken: bool,
}

impl Trace {
    /// A trace that prints its story.
    #[must_use]
    pub fn spoken() -> Self {
        Self { hash: 0, spoken: true }
    }

    /// Takes note of something, in numbers for the hash and in words for the reader.
    pub(crate) fn note(&mut self, now: i64, numbers: &[u64], words: impl FnOnce() -> String) {
        for number in numbers.iter().copied().chain([now.unsigned_abs()]) {
            self.number(number);
        }
        if self.spoken {
            println!("{:>5}.{:06} {}", now / 1_000_000, now % 1_000_000, words());
        }
    }

    /// Takes note of every byte that a durable turn writes.
    pub(crate) fn turn(&mut self, turn: &TurnRecord) {
        self.bytes(turn.instance.as_str().as_bytes());
        self.number(turn.seq.0);
        if let Change::Write { record, history, .. } = &turn.change {
            self.number(record.events);
            self.number(u64::from(record.busy) + u64::from(record.status.number()));
            self.number(record.due.map_or(0, |due| due.0.unsigned_abs()));
            self.bytes(record.custom_status.as_deref().unwrap_or_default().as_bytes());
            if let HistoryChange::Append { events, .. } | HistoryChange::Replace { events } =
                history
            {
                self.bytes(events);
            }
        }
        for envelope in &turn.sent {
            self.bytes(&codec::encode_message(&envelope.message));
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.number(u64::from_le_bytes(word));
        }
    }

    fn number(&mut self, number: u64) {
        self.hash = (self.hash ^ number).wrapping_mul(0x0100_0000_01B3).rotate_left(23);
    }

    /// The same for the same run.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }
}
