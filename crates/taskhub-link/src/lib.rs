//! The way to a hub in another process, over the Durable Task gRPC protocol.
//!
//! A [`Remote`] says where the hub is, a [`Link`] is the connection to it. What is asked of a
//! [`Link`] is what is asked of a hub in this process, and the answers are the same: the library
//! uses it where a server has its hub, and a node of a cluster asks the owner of an instance so.

mod asking;
mod bringing;
mod error;
mod link;
mod reading;
mod remote;
mod results;
mod working;

pub use bringing::Brought;
pub use error::LinkError;
pub use link::{Link, MESSAGE_BYTES_MAX};
pub use reading::{Cleaned, Listed};
pub use remote::{Remote, RemoteError};
pub use working::WorkItems;
