//! A running Taskhub node: threads, queues and disks around the state machines of the core.
//!
//! ```text
//!   clients ──ask──> turn threads ──turn records──> lane ──batches──> store
//!      ^                │  ^  ^                      │
//!      └────answers─────┘  │  └──── durable ─────────┘
//!   activities <─dispatch──┘  └──── readers <── store
//! ```
//!
//! What decides anything is free of I/O ([`Shard`], [`Lane`], [`Pool`], and the partitions within),
//! so the simulator runs the very same code. The rest moves values between them.

mod activities;
mod arrivals;
pub mod chores;
mod clock;
mod holdings;
mod hub;
mod lane;
mod peers;
mod pool;
mod shard;
mod sharing;
pub mod store;
mod watchdog;

pub use activities::{Activities, Admission, Code, Running, perform};
pub use arrivals::Tick;
pub use chores::Cleaned;
pub use holdings::{Balance, Holdings};
pub use hub::{
    Borrowed, Death, Dies, EntityPage, HistoryPart, Hub, Lockstep, Members, OpenError, Tally,
    Times, Told, Worker,
};
pub use lane::{Lane, lane_of};
pub use peers::{Asking, NOTICED_WITHIN, NodeOptions, Peers, Unreached};
pub use pool::{
    Delivery, DeliveryId, Names, Order, Patience, Pool, Serves, WorkerId, WorkerOptions,
};
pub use shard::{Passed, Routed, Shard};
pub use sharing::{Share, sharing};
pub use watchdog::{Watch, Watchdog, watch};
