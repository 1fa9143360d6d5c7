//! How a process takes part in a hub that several of them share.

use std::{fmt, sync::Arc, time::Duration};

use taskhub_engine::{Hub, NodeOptions};
use taskhub_server::{HubName, Lending, Nodes};

use super::HostBuilder;

/// How a process takes part in a hub whose store, such as a PostgreSQL database, several of them
/// share: where the others reach it, and the secret that all of them know. Every process runs the
/// same functions.
///
/// ```
/// # use std::time::Duration;
/// # use taskhub::{Cluster, prelude::*};
/// # fn app(secret: &str) -> HostBuilder {
/// let cluster = Cluster::new("http://10.0.0.2:7071", secret).ttl(Duration::from_secs(10));
/// Host::builder().cluster(cluster)
/// # }
/// ```
#[derive(Clone)]
#[must_use = "it is taken by `HostBuilder::cluster`"]
pub struct Cluster {
    address: String,
    secret: String,
    ttl: Option<Duration>,
    lanes: Option<u16>,
}

impl Cluster {
    /// This process is reached at `address`, such as `http://10.0.0.2:7071`, where it serves; who
    /// shows `secret` there is another node.
    pub fn new(address: impl Into<String>, secret: impl Into<String>) -> Self {
        Self { address: address.into(), secret: secret.into(), ttl: None, lanes: None }
    }

    /// How long others wait for this process, when it is silent, before they take over what it
    /// owns; 15 seconds if this is not called.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// How many streams of commits it has to the store; four if this is not called.
    pub fn lanes(mut self, lanes: u16) -> Self {
        self.lanes = Some(lanes);
        self
    }

    pub(super) fn secret(&self) -> &str {
        &self.secret
    }

    pub(super) fn node(&self) -> NodeOptions {
        let (alone, others) = (NodeOptions::default(), self.others());
        NodeOptions {
            address: self.reached().into(),
            circle: others.circle().into(),
            lanes: self.lanes,
            ttl: self.ttl.unwrap_or(alone.ttl),
            peers: Some(Arc::new(others)),
            ..alone
        }
    }

    /// Lends the workers of this process to the others, as long as this is kept.
    pub(super) fn lend(&self, hub: &Hub) -> Lending {
        self.others().lend(hub, self.reached())
    }

    /// Where others can ask it: nowhere, without a secret.
    fn reached(&self) -> &str {
        if self.secret.is_empty() { "" } else { &self.address }
    }

    fn others(&self) -> Nodes {
        Nodes::new(HubName::default(), &*self.secret)
    }
}

impl HostBuilder {
    /// Shares the hub with other processes, whose store is the same: see [`Cluster`].
    pub fn cluster(mut self, cluster: Cluster) -> Self {
        self.cluster = Some(cluster);
        self
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The secret is not shown.
        f.debug_struct("Cluster").field("address", &self.address).finish_non_exhaustive()
    }
}
