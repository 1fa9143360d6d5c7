//! The protocol that the Durable Task SDKs speak, and the way between its messages and the core.
//!
//! [`proto`] is generated from the files in `proto/`: every message, a client and a server. The
//! rest of this crate are functions between those messages and the words of `taskhub-core`. What
//! comes from outside is checked: an [`InvalidMessage`] says which field is wrong, and why.

mod details;
mod failure;
mod invalid;
mod record;
mod status;
mod tags;
mod time;
mod trace;

pub use failure::{failure_in, failure_out};
pub use invalid::InvalidMessage;
pub use record::{Detail, state_out};
pub use status::{status_in, status_out, statuses_in};
pub use tags::{tags_in, tags_out};
pub use time::{duration_in, timestamp_in, timestamp_out};
pub use trace::{trace_in, trace_out};

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
    }
}
