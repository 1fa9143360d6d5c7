//! The rows of a batch, as the arrays that `commit.sql` takes.

use std::borrow::Cow;

use taskhub_core::{
    MessageId, PartitionId, codec,
    store::{Effect, Folded, StoreError},
};
use tokio_postgres::types::ToSql;

use crate::{
    row::{Columns, number, small},
    text::pack,
};

/// What a batch leaves.
#[derive(Default)]
pub(super) struct Rows<'a> {
    /// The keys of the instances, one per effect; `None` for one that goes.
    pub(super) keys: Vec<Option<i64>>,
    instances: Columns<'a>,
    removed: Vec<Cow<'a, str>>,
    /// Keys of those whose history goes.
    forgotten: Vec<i64>,
    pieces: (Vec<i64>, Vec<i64>, Vec<&'a [u8]>),
    taken: Mails,
    sent: Mails,
    receivers: Vec<Cow<'a, str>>,
    messages: Vec<Vec<u8>>,
}

/// Messages by receiving partition, and by what is in a [`MessageId`].
#[derive(Default)]
struct Mails(Vec<i16>, Vec<i16>, Vec<i64>, Vec<i64>);

impl Mails {
    fn push(&mut self, partition: PartitionId, id: MessageId) -> Result<(), StoreError> {
        self.0.push(small(partition.0));
        self.1.push(small(id.from.0));
        self.2.push(number(id.epoch.0)?);
        self.3.push(number(id.number)?);
        Ok(())
    }
}

impl<'a> Rows<'a> {
    /// Adds what becomes of the instance that has `key`, or had none.
    pub(super) fn push(
        &mut self,
        effect: &Effect<'a>,
        key: Option<i64>,
        is_new: bool,
    ) -> Result<(), StoreError> {
        let (Some(record), Some(key)) = (effect.record, key) else {
            self.keys.push(None);
            self.removed.push(pack(effect.instance.as_str()));
            return Ok(());
        };
        self.keys.push(Some(key));
        self.instances.push((key, is_new), effect, record)?;
        if effect.forgets && !is_new {
            self.forgotten.push(key);
        }
        for (at, events) in &effect.pieces {
            self.pieces.0.push(key);
            self.pieces.1.push(number(*at)?);
            self.pieces.2.push(events);
        }
        Ok(())
    }

    /// Adds the messages.
    pub(super) fn mail(&mut self, folded: &Folded<'a>) -> Result<(), StoreError> {
        for (partition, id) in &folded.taken {
            self.taken.push(*partition, *id)?;
        }
        for envelope in &folded.sent {
            self.sent.push(envelope.partition, envelope.id)?;
            self.receivers.push(pack(envelope.to.as_str()));
            self.messages.push(codec::encode_message(&envelope.message).to_vec());
        }
        Ok(())
    }

    /// How many bytes it is, but for what has few.
    pub(super) fn bytes(&self) -> usize {
        let pieces = self.pieces.2.iter().map(|piece| piece.len());
        let messages = self.messages.iter().map(Vec::len);
        self.instances.bytes() + pieces.chain(messages).sum::<usize>()
    }

    /// The arrays, in the order of the parameters.
    pub(super) fn params(&self) -> Vec<&(dyn ToSql + Sync)> {
        let mut params: Vec<&(dyn ToSql + Sync)> = self.instances.params().into();
        params.extend::<[&(dyn ToSql + Sync); 15]>([
            &self.removed,
            &self.forgotten,
            &self.pieces.0,
            &self.pieces.1,
            &self.pieces.2,
            &self.taken.0,
            &self.taken.1,
            &self.taken.2,
            &self.taken.3,
            &self.sent.0,
            &self.sent.1,
            &self.sent.2,
            &self.sent.3,
            &self.receivers,
            &self.messages,
        ]);
        params
    }
}
