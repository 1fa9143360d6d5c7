//! Promise 10: "Every queue, buffer and cache has a limit; beyond it the caller gets a clear "try
//! later", and nothing accepted is dropped."

use std::collections::BTreeSet;

use taskhub_core::{
    Batch, Change, ExecutionId, Failure, InstanceId, Limits, Message, Outcome, Piece, Text,
    partition::Partition,
};

use super::{Violation, ensure};
use crate::{
    chronicle::Applied,
    program::{PAYLOAD_BYTES_MAX, TOO_LARGE},
};

/// A batch is about to be written.
pub(crate) fn on_batch(batch: &Batch, limits: &Limits) -> Result<(), Violation> {
    let bytes: usize = batch.turns.iter().map(taskhub_core::TurnRecord::bytes).sum();
    let count = batch.turns.len();
    let within = count <= limits.batch_count_max && bytes <= limits.batch_bytes_max;
    ensure(count <= 1 || within, || {
        let happened = format!("a batch of {count} turns and {bytes} bytes");
        Violation::new(10, "a batch has its bounds", happened)
    })
}

/// A turn became durable: nothing in it is larger than anything may be.
pub(crate) fn on_turn(applied: &Applied<'_>) -> Result<(), Violation> {
    let text = |text: &Option<Text>| text.as_ref().map_or(0, |text| text.len());
    let written = applied.fresh.iter().map(|event| event.kind.payload_bytes());
    let sent = applied.turn.sent.iter().map(|sent| match &sent.message {
        Message::Start(started) => text(&started.input),
        Message::Raise { input, .. } => text(input),
        Message::ChildFinished { outcome: Ok(it), .. }
        | Message::OperationFinished { outcome: Ok(it), .. } => text(it),
        Message::Operation(requested) => text(&requested.operation.input),
        _ => 0,
    });
    let shown = match &applied.turn.change {
        Change::Write { record, .. } => match &record.outcome {
            Some(Ok(output)) => text(output).max(text(&record.custom_status)),
            _ => text(&record.custom_status),
        },
        _ => 0,
    };
    let largest = written.chain(sent).chain([shown]).max().unwrap_or(0);
    ensure(largest <= PAYLOAD_BYTES_MAX, || {
        let happened = format!("{} keeps or sends {largest} bytes", applied.turn.instance);
        Violation::new(10, "what is too large is refused", happened)
    })
}

/// What is kept of a result.
pub(crate) fn kept(outcome: &Outcome) -> Outcome {
    match outcome {
        Ok(Some(output)) if output.len() > PAYLOAD_BYTES_MAX => {
            let message = format!(
                "a payload of {} bytes is too large, {PAYLOAD_BYTES_MAX} are allowed; pass a \
                 reference to it, or raise `Limits::payload_bytes_max`, of a server its setting \
                 `limits.payload_bytes`",
                output.len(),
            );
            Err(Failure::new(TOO_LARGE, message).non_retriable())
        }
        outcome => outcome.clone(),
    }
}

/// What is out of one partition.
pub(crate) type Out = BTreeSet<(InstanceId, ExecutionId, Piece)>;

/// Something was handed out: so much of its kind is out now.
pub(crate) fn on_dispatch(out: &Out, piece: Piece, limits: &Limits) -> Result<(), Violation> {
    let kind = std::mem::discriminant(&piece);
    let out = out.iter().filter(|(_, _, it)| std::mem::discriminant(it) == kind).count();
    let out_max = 2 * limits.tasks_count_max;
    ensure(out <= out_max, || {
        let expected = format!("at most {out_max} of each kind are out");
        Violation::new(10, expected, format!("{out} are out: {piece:?}"))
    })
}

/// A partition has worked: it keeps only so much of what the store lists for it.
pub(crate) fn on_work(partition: &Partition, limits: &Limits) -> Result<(), Violation> {
    let (wakes, busy) = partition.listed();
    let busy_max = limits.wakes_count_max + limits.tasks_count_max;
    ensure(wakes <= 2 * limits.wakes_count_max && busy <= busy_max, || {
        let happened = format!("it keeps {wakes} wakes and {busy} busy instances");
        Violation::new(10, "the store's lists are kept in memory within bounds", happened)
    })
}

/// Everything is durable and nothing happens.
pub(crate) fn at_rest(partition: &Partition, limits: &Limits, count: u16) -> Result<(), Violation> {
    let (instances, bytes) = partition.cached();
    let share = limits.cache_bytes_max / usize::from(count.max(1));
    ensure(bytes <= share, || {
        let happened = format!("{instances} instances with {bytes} bytes");
        Violation::new(10, format!("a partition keeps at most {share} bytes"), happened)
    })
}
