//! The other nodes of a cluster: how they are asked, and how they prove that they are nodes.
//!
//! A node asks the owner of an instance in the public protocol, as a client would, and shows the
//! secret that all nodes share. What comes with the secret is answered by this node or refused, so
//! nothing is ever passed on twice. Who has the secret needs no token.

mod lending;
mod stand_in;

use std::{
    fmt,
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::http::HeaderMap;
use lru::LruCache;
use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq as _;
use taskhub_core::{Answer, InstanceId, Refusal, Verb};
use taskhub_engine::{Asking, Peers, Unreached};
use taskhub_link::{Link, LinkError, Remote, RemoteError};
use taskhub_wire::NODE_KEY;

use crate::HubName;

pub use lending::Lending;

/// Connections that are kept, one per address; those of nodes that are gone are forgotten so.
const LINKS_COUNT_MAX: NonZeroUsize = NonZeroUsize::new(256).expect("it is not 0");

/// Who is turned away again within this time is still the same trouble.
const QUIET: Duration = Duration::from_mins(1);

/// What all nodes of a cluster know; none: there are no other nodes.
#[derive(Clone, Default)]
pub(crate) struct Secret {
    known: Option<String>,
    /// When somebody was turned away last.
    refused: Arc<Mutex<Option<Instant>>>,
}

/// A call that another node made: never passed on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FromNode;

/// Somebody says that it is a node, and does not know the secret.
#[derive(Debug)]
pub(crate) struct Impostor;

impl Secret {
    pub(crate) fn new(known: Option<String>) -> Self {
        Self { known, ..Self::default() }
    }

    /// Whether a call comes from another node.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<Option<FromNode>, Impostor> {
        let Some(sent) = headers.get(NODE_KEY) else { return Ok(None) };
        let known = self.known.as_deref().unwrap_or_default().as_bytes();
        let is_known = !known.is_empty() && bool::from(known.ct_eq(sent.as_bytes()));
        if is_known { Ok(Some(FromNode)) } else { Err(Impostor) }
    }

    /// Logs that somebody was turned away: a node asks again and again, and is told of once.
    pub(crate) fn tell(&self, _: Impostor) {
        if self.is_news(Instant::now()) {
            tracing::warn!(
                "a node is turned away: its `cluster.secret` is not the one of this node; what it \
                 asks for here is refused until all nodes have the same"
            );
        }
    }

    fn is_news(&self, now: Instant) -> bool {
        let last = self.refused.lock().unwrap_or_else(PoisonError::into_inner).replace(now);
        last.is_none_or(|last| now.saturating_duration_since(last) > QUIET)
    }
}

/// A secret is not shown.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", if self.known.is_some() { "set" } else { "none" })
    }
}

/// The other nodes of one hub, by their addresses, such as `http://10.0.0.2:7071`.
#[derive(Clone)]
pub struct Nodes {
    inner: Arc<Inner>,
}

struct Inner {
    hub: HubName,
    secret: String,
    links: Mutex<LruCache<String, Link>>,
}

impl Nodes {
    /// The nodes that serve this hub and share this secret.
    #[must_use]
    pub fn new(hub: HubName, secret: impl Into<String>) -> Self {
        let links = Mutex::new(LruCache::new(LINKS_COUNT_MAX));
        Self { inner: Arc::new(Inner { hub, secret: secret.into(), links }) }
    }

    /// What nodes with this secret have in common and others have not, as good as always: sixteen
    /// bits of a hash. It stands in the database, so it is too short to find a secret by, of which
    /// every 65,536th has it, and the same for all hubs, which would tell more bits otherwise.
    #[must_use]
    pub fn circle(&self) -> String {
        let hash = digest(&SHA256, format!("circle of {}", self.inner.secret).as_bytes());
        let first = hash.as_ref().first_chunk();
        first.map_or_else(String::new, |[one, other]: &[u8; 2]| format!("{one:02x}{other:02x}"))
    }

    /// The connection to a node; it heals by itself.
    fn link(&self, address: &str) -> Result<Link, RemoteError> {
        let Inner { hub, secret, links } = &*self.inner;
        let mut links = links.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(link) = links.get(address) {
            return Ok(link.clone());
        }
        let link = Remote::at(address).hub(hub.as_str()).node(secret).link()?;
        links.put(address.to_owned(), link.clone());
        Ok(link)
    }
}

impl Peers for Nodes {
    fn ask(&self, address: &str, instance: &InstanceId, verb: &Verb) -> Asking {
        let (nodes, address) = (self.clone(), address.to_owned());
        let (instance, verb) = (instance.clone(), verb.clone());
        Box::pin(async move {
            let link = nodes.link(&address);
            let link = link.map_err(|error| Unreached::Unsent(error.to_string()))?;
            match link.ask_once(&instance, verb).await {
                Ok(answer) => Ok(answer),
                Err(LinkError::Busy) => {
                    Ok(Answer::Refused(Refusal::Busy("its owner has as much to do as it takes")))
                }
                // The hub there has not heard of it.
                Err(LinkError::Unsent(why) | LinkError::Refused(why)) => {
                    Err(Unreached::Unsent(why))
                }
                Err(LinkError::Lost(why)) => Err(Unreached::Lost(why)),
                Err(error) => Err(Unreached::Lost(error.to_string())),
            }
        })
    }
}

impl fmt::Debug for Nodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Nodes({})", self.inner.hub)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(known: Option<&str>, sent: Option<&str>) -> Result<bool, ()> {
        let mut headers = HeaderMap::new();
        if let Some(sent) = sent {
            headers.insert(NODE_KEY, sent.parse().unwrap());
        }
        let checked = Secret::new(known.map(ToOwned::to_owned)).check(&headers);
        checked.map(|node| node.is_some()).map_err(drop)
    }

    #[test]
    fn nodes_with_one_secret_are_of_one_circle_in_all_hubs() {
        let circle = |hub, secret| Nodes::new(HubName::parse(hub).unwrap(), secret).circle();
        assert_eq!(circle("default", "sesame"), circle("orders", "sesame"));
        assert_ne!(circle("default", "sesame"), circle("default", "sesam"));
        assert_eq!(circle("default", "sesame").len(), 4);
    }

    #[test]
    fn who_is_turned_away_again_and_again_is_told_of_once() {
        let (secret, began) = (Secret::default(), Instant::now());
        let told = [0, 1, 50, 100, 161, 170].map(|second| {
            // All that share the secret share what was told.
            secret.clone().is_news(began + Duration::from_secs(second))
        });
        assert_eq!(told, [true, false, false, false, true, false]);
    }

    #[test]
    fn only_who_knows_the_secret_is_a_node() {
        assert_eq!(check(Some("sesame"), Some("sesame")), Ok(true));
        assert_eq!(check(Some("sesame"), None), Ok(false));
        assert_eq!(check(None, None), Ok(false));
        for (known, sent) in [
            (Some("sesame"), "sesam"),
            (Some("sesame"), ""),
            (None, ""),
            (None, "x"),
            (Some(""), ""),
        ] {
            assert_eq!(check(known, Some(sent)), Err(()), "{known:?} {sent}");
        }
    }
}
