//! The protocol that the Durable Task SDKs speak, and the way between its messages and the core.
//!
//! [`proto`] is generated from the files in `proto/`: every message, a client and a server. The
//! rest of this crate are functions between those messages and the words of `taskhub-core`. What
//! comes from outside is checked: an [`InvalidMessage`] says which field is wrong, and why.

mod action;
mod again;
mod arrival;
mod aside;
mod bounds;
mod call;
mod chunks;
mod details;
mod entity;
mod failure;
mod history;
mod ids;
mod invalid;
mod metadata;
mod record;
mod refusal;
mod repeated;
mod response;
mod started;
mod status;
mod tags;
mod text;
mod time;
mod trace;
mod work;
mod work_item;

pub use again::{Extent, is_answered_by_name, news_in};
pub use bounds::{few, named, short, short_tags, within};
pub use chunks::Chunks;
pub use entity::{performed_in, performed_out};
pub use failure::{failure_in, failure_out};
pub use history::{History, history_in, history_out, history_shown};
pub use ids::execution_in;
pub use invalid::InvalidMessage;
pub use metadata::{metadata_in, metadata_out};
pub use record::{Detail, state_in, state_out};
pub use refusal::{NODE_KEY, REFUSAL_KEY, refusal_in, refusal_out};
pub use repeated::drop_repeated;
pub use response::{outcome_in, outcome_out, taken_in, taken_out};
pub use status::{status_in, status_out, statuses_in};
pub use tags::{tags_in, tags_out};
pub use time::{duration_in, timestamp_in, timestamp_out};
pub use trace::{trace_in, trace_out};
pub use work_item::{Dialect, Given, turn_history_out, work_item_in, work_item_out};

/// The messages of the protocol, a client for it, and a server to be filled in.
pub mod proto {
    pub use generated::*;

    /// The files of the protocol as a server tells them to whoever asks by reflection: an encoded
    /// `google.protobuf.FileDescriptorSet`.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

    #[allow(
        missing_docs,
        deprecated,
        clippy::all,
        clippy::pedantic,
        reason = "generated; the protocol files hold the documentation"
    )]
    mod generated {
        include!(concat!(env!("OUT_DIR"), "/_.rs"));

        pub mod taskhub {
            pub mod results {
                include!(concat!(env!("OUT_DIR"), "/taskhub.results.rs"));
            }
        }
    }
}

/// Many results on one stream, between workers and servers of ours.
pub mod results {
    pub use crate::proto::taskhub::results::*;
}

/// Who owns what in a cluster, for people who look after it.
pub mod cluster {
    pub use generated::*;

    #[allow(
        missing_docs,
        clippy::all,
        clippy::pedantic,
        reason = "generated; `cluster.proto` holds the documentation"
    )]
    mod generated {
        include!(concat!(env!("OUT_DIR"), "/taskhub.cluster.rs"));
    }
}

/// The keys of the HTTP API of a server, for people who look after it.
pub mod keys {
    pub use generated::*;

    #[allow(
        missing_docs,
        clippy::all,
        clippy::pedantic,
        reason = "generated; `keys.proto` holds the documentation"
    )]
    mod generated {
        include!(concat!(env!("OUT_DIR"), "/taskhub.keys.rs"));
    }
}
