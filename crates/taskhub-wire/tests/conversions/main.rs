//! The protocol, and the way between it and the core, there and back.

mod bounded;
mod generate;
mod kinds;
mod log;
mod protocol;
mod responses;
mod untrusted;
mod work_items;

use taskhub_core::{
    Epoch, Event, ExecutionId, InstanceId, Kind, PartitionId, Piece, Started, Ticket, Timestamp,
};

fn instance() -> InstanceId {
    InstanceId::trusted("order-17")
}

fn entity() -> InstanceId {
    InstanceId::trusted("@counter@a")
}

fn ticket(instance: InstanceId, piece: Piece) -> Ticket {
    Ticket {
        partition: PartitionId(3),
        epoch: Epoch(1),
        instance,
        execution: ExecutionId(10),
        piece,
    }
}

fn started() -> Kind {
    Kind::Started(Box::new(Started::new("charge", Some("7".into()), ExecutionId(10))))
}

fn turn(takes: u32) -> Kind {
    Kind::TurnStarted { takes, clock: None }
}

/// A log whose first event stands at the first microsecond, the next at the second, and so on.
fn log_of(kinds: impl IntoIterator<Item = Kind>) -> Vec<Event> {
    (1..).zip(kinds).map(|(at, kind)| Event { at: Timestamp(at), kind }).collect()
}
