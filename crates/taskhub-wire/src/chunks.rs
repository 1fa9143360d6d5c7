//! Responses in pieces: deprecated in the protocol, and still sent by some.

use prost::Message as _;

use crate::{InvalidMessage, proto::OrchestratorResponse};

/// The chunks of one response so far.
#[derive(Debug, Default)]
pub struct Chunks {
    whole: Option<OrchestratorResponse>,
    count: i32,
    bytes: usize,
}

impl Chunks {
    /// How many bytes the chunks of a response may have together.
    pub const BYTES_MAX: usize = 64 << 20;

    /// Adds a response, or a chunk of one; the whole response with the last. After an error it is
    /// empty again.
    ///
    /// The first chunk says how many events were taken; the actions are those of all. A chunk that
    /// comes twice counts once.
    #[expect(deprecated, reason = "older workers send chunks")]
    pub fn add(
        &mut self,
        mut chunk: OrchestratorResponse,
    ) -> Result<Option<OrchestratorResponse>, InvalidMessage> {
        let (index, more) = (chunk.chunk_index.unwrap_or(0), chunk.is_partial);
        if index == 0 {
            *self = Self::default();
        } else if index != self.count {
            let expected = self.count;
            if (1..expected).contains(&index) {
                return Ok(None);
            }
            *self = Self::default();
            return Err(InvalidMessage::Chunk { got: index, expected });
        }
        self.bytes += if more || index > 0 { chunk.encoded_len() } else { 0 };
        if self.bytes > Self::BYTES_MAX {
            *self = Self::default();
            return Err(InvalidMessage::TooLarge { bytes_max: Self::BYTES_MAX });
        }
        self.count += 1;
        let whole = self.whole.get_or_insert_default();
        if index == 0 {
            (chunk.chunk_index, chunk.is_partial) = (None, false);
            *whole = chunk;
        } else {
            whole.actions.append(&mut chunk.actions);
        }
        Ok(if more { None } else { std::mem::take(self).whole })
    }

    /// About how many bytes it holds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}
