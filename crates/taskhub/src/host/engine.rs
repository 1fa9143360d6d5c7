//! What runs the functions of a host: an engine in this process, or a worker of a server.

use taskhub_core::Limits;
use taskhub_engine::Hub;
use taskhub_link::Link;

use super::HostError;
use crate::{
    Client, Registered, Remote,
    remote::{Worker, Working},
};

/// What runs functions, until it is stopped.
#[derive(Debug)]
pub(super) enum Engine {
    Here(Hub),
    There {
        /// The connection of the clients.
        link: Link,
        working: Working,
    },
}

impl Engine {
    /// Begins to work for a server. Clients have a connection of their own: what they hold open
    /// keeps no result waiting.
    pub(super) fn there(
        remote: &Remote,
        registered: &Registered,
        limits: Limits,
    ) -> Result<(Client, Self), HostError> {
        let link = remote.link()?;
        let client = Client::over(link.clone());
        registered.attach(&client);
        let (code, serves) = (registered.code().clone(), registered.serves().clone());
        let worker = Worker::new(remote.link()?, code, serves, limits);
        let working = worker.map_err(HostError::Thread)?.start();
        Ok((client, Self::There { link, working }))
    }

    /// Hands back whoever waits, finishes what is in hand, and takes nothing new.
    pub(super) async fn stop(self) {
        match self {
            Self::Here(hub) => hub.stop().await,
            Self::There { link, working } => {
                link.close();
                working.end().await;
            }
        }
    }
}
