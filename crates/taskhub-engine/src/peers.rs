//! The way to the other nodes of a hub, as something outside of the engine provides it.

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use taskhub_core::{Answer, InstanceId, Text, Verb};

/// A question to another node, under way. Dropping it withdraws the question, not what it caused.
pub type Asking = Pin<Box<dyn Future<Output = Result<Answer, Unreached>> + Send>>;

/// A wait that another node holds for longer has reached it.
pub const NOTICED_WITHIN: Duration = Duration::from_secs(10);

/// Asks other nodes.
pub trait Peers: Send + Sync {
    /// Asks the node at `address`, which answers as [`Hub::ask_here`](crate::Hub::ask_here) does:
    /// it never passes the question on. A wait is held there as long as it takes, so there must be
    /// a way to notice within [`NOTICED_WITHIN`] that the node, or the way to it, is gone.
    fn ask(&self, address: &str, instance: &InstanceId, verb: &Verb) -> Asking;
}

/// Another node could not be asked, or did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unreached {
    /// The question never got there. Nothing happened.
    #[error("the node that owns it cannot be reached: {0}")]
    Unsent(String),
    /// It may have got there; whether anything happened is not known.
    #[error("the node that owns it did not answer: {0}")]
    Lost(String),
}

/// How a node takes part in a hub that several share.
#[derive(Clone)]
pub struct NodeOptions {
    /// Where other nodes reach this one, in whatever form [`Peers::ask`] takes. A node whose
    /// address is empty owns nothing while there are others that have one.
    pub address: Text,
    /// What it has in common with the nodes that it can ask, and they it, such as a mark of what
    /// they know each other by. Of nodes with several such circles the largest owns everything.
    pub circle: Text,
    /// How many lanes it has; `None` for one with a store of its own, and four with a shared one.
    pub lanes: Option<u16>,
    /// How long a claim of partitions holds; it is renewed three times in that time. Other nodes
    /// take over what a node owned so long after it died. Counts only with a shared store.
    pub ttl: Duration,
    /// How often it looks at least, or a few times while a claim holds, whether nodes have come or
    /// gone. What it hears of makes it look at once.
    pub looks: Duration,
    /// The way to other nodes; without it, what is asked about an instance of another node is
    /// refused.
    pub peers: Option<Arc<dyn Peers>>,
}

impl Default for NodeOptions {
    fn default() -> Self {
        let (ttl, looks) = (Duration::from_secs(15), Duration::from_secs(1));
        let (address, circle) = (Text::from(""), Text::from(""));
        Self { address, circle, lanes: None, ttl, looks, peers: None }
    }
}

impl fmt::Debug for NodeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeOptions")
            .field("address", &self.address)
            .field("lanes", &self.lanes)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}
