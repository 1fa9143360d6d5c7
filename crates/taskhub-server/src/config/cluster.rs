//! What a node has in common with the others that share its hubs.

use std::{net::SocketAddr, num::NonZeroU64, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use taskhub_engine::{Hub, NodeOptions, Peers};

use super::ConfigError;
use crate::{HubName, Lending, Nodes};

/// What a node has in common with others. It counts where hubs are in a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ClusterConfig {
    /// The secret by which nodes know each other: the same on all of them. None: this node takes
    /// nobody for another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Where other nodes reach this one, such as `http://10.0.0.2:7071`. None: at the first address
    /// that it listens on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// How many seconds others wait for this node, when it is silent, before they take over.
    pub lease_seconds: u64,
    /// How many seconds the database may take to answer; after that the connection counts as lost.
    pub patience_seconds: NonZeroU64,
    /// How many streams of commits this node has to the database, for each hub.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lanes: Option<u16>,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        let patience_seconds = const { NonZeroU64::new(60).expect("it is not 0") };
        Self { secret: None, address: None, lease_seconds: 15, patience_seconds, lanes: None }
    }
}

impl ClusterConfig {
    /// Refuses what can be written down, but not meant; whether hubs are where others have them.
    pub(super) fn check(&self, is_shared: bool) -> Result<(), ConfigError> {
        if self.secret.as_ref().is_some_and(String::is_empty) {
            return Err(ConfigError::EmptySecret);
        }
        if self.lease_seconds == 0 {
            return Err(ConfigError::Zero("cluster.lease_seconds", 15));
        }
        let is_callable =
            |it: &String| ["http://", "https://"].iter().any(|scheme| it.starts_with(scheme));
        match &self.address {
            Some(_) if !is_shared => Err(ConfigError::Alone),
            Some(address) if !is_callable(address) => Err(ConfigError::NoAddress(address.clone())),
            _ => Ok(()),
        }
    }

    /// The same of a node that listens there, if it does not say itself where it is reached.
    pub(crate) fn at(&self, listens: Option<&SocketAddr>, is_tls: bool) -> Self {
        let scheme = if is_tls { "https" } else { "http" };
        let reached = listens.filter(|address| !address.ip().is_unspecified());
        let reached = reached.map(|address| format!("{scheme}://{address}"));
        Self { address: self.address.clone().or(reached), ..self.clone() }
    }

    /// How this node takes part in a hub.
    pub(crate) fn node(&self, hub: &HubName) -> NodeOptions {
        let others = self.others(hub);
        let circle = others.as_ref().map(Nodes::circle).unwrap_or_default();
        let peers = others.map(|nodes| Arc::new(nodes) as Arc<dyn Peers>);
        let ttl = Duration::from_secs(self.lease_seconds);
        NodeOptions {
            address: self.own().into(),
            circle: circle.into(),
            lanes: self.lanes,
            ttl,
            peers,
            ..NodeOptions::default()
        }
    }

    /// Lends the workers of this node to the others that have the hub.
    pub(crate) fn lend(&self, name: &HubName, hub: &Hub) -> Option<Lending> {
        Some(self.others(name)?.lend(hub, self.own()))
    }

    fn others(&self, hub: &HubName) -> Option<Nodes> {
        Some(Nodes::new(hub.clone(), self.secret.as_deref()?))
    }

    /// Where others can ask this node: nowhere, if it knows no secret by which they could.
    fn own(&self) -> &str {
        let is_open = self.secret.as_deref().is_some_and(|secret| !secret.is_empty());
        self.address.as_deref().filter(|_| is_open).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_reached_where_it_listens_unless_it_says_otherwise() {
        let reached = |config: &ClusterConfig, listens: &str, is_tls| {
            let listens = listens.parse().expect("an address");
            config.at(Some(&listens), is_tls).address
        };
        let silent = ClusterConfig::default();
        let local = reached(&silent, "127.0.0.1:7071", false);
        assert_eq!(local.as_deref(), Some("http://127.0.0.1:7071"));
        let secure = reached(&silent, "10.0.0.2:443", true);
        assert_eq!(secure.as_deref(), Some("https://10.0.0.2:443"));
        assert_eq!(reached(&silent, "0.0.0.0:7071", false), None, "that is everywhere");
        let told = ClusterConfig { address: Some("http://node-1:7071".into()), ..silent };
        assert_eq!(reached(&told, "0.0.0.0:7071", false), told.address);
    }

    #[test]
    fn a_node_without_a_secret_cannot_be_asked() {
        let asked_at = |secret: Option<&str>| {
            let address = Some("http://node-1:7071".to_owned());
            let secret = secret.map(ToOwned::to_owned);
            let config = ClusterConfig { secret, address, ..ClusterConfig::default() };
            config.node(&HubName::default()).address
        };
        assert_eq!([None, Some("")].map(asked_at), ["", ""].map(Into::into));
        assert_eq!(&*asked_at(Some("sesame")), "http://node-1:7071");
    }
}
