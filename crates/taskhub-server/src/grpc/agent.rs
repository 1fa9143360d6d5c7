//! What a worker's gRPC library says of its SDK.

use tonic::metadata::MetadataMap;

/// How much of each kind a worker gets at once that does not say.
pub(super) const ROOM: usize = 100;

/// Which gRPC library a worker uses, where that makes a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Agent {
    Node,
    JavaOrGo,
    Other,
}

impl Agent {
    /// That of a call.
    pub(super) fn of(metadata: &MetadataMap) -> Self {
        let agent = metadata.get("user-agent").and_then(|agent| agent.to_str().ok());
        let is = |name: &str| agent.is_some_and(|agent| agent.contains(name));
        if is("grpc-node") {
            Self::Node
        } else if is("grpc-java") || is("grpc-go") {
            Self::JavaOrGo
        } else {
            Self::Other
        }
    }

    /// The largest message that it receives: by default 4 MiB in every library but that of
    /// JavaScript, whose SDK takes any.
    pub(super) fn bytes_max(self) -> usize {
        if self == Self::Node { usize::MAX } else { 4 << 20 }
    }

    /// How many entities it takes at once that does not say. The SDK of Java says so when it has
    /// any, the one of Go knows none; they would drop them unread.
    pub(super) fn unsaid_entities(self) -> usize {
        if self == Self::JavaOrGo { 0 } else { ROOM }
    }

    /// Whether its filters name entities. Those of the SDK of Java cannot; a worker of it that asks
    /// for entities takes all.
    pub(super) fn filters_entities(self) -> bool {
        self != Self::JavaOrGo
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(user_agent: &'static str) -> Agent {
        let mut metadata = MetadataMap::new();
        metadata.insert("user-agent", user_agent.parse().expect("plain text"));
        Agent::of(&metadata)
    }

    #[test]
    fn only_workers_of_java_and_go_must_ask_for_entities() {
        assert_eq!(agent("grpc-java-netty/1.59.0").unsaid_entities(), 0);
        assert_eq!(agent("orders/1.0 grpc-go/1.56.3").unsaid_entities(), 0);
        assert_eq!(agent("grpc-node-js/1.14.7").unsaid_entities(), ROOM);
        assert_eq!(agent("grpc-python/1.85.1").unsaid_entities(), ROOM);
    }

    #[test]
    fn only_workers_of_node_receive_messages_of_any_size() {
        assert_eq!(agent("grpc-node-js/1.14.7").bytes_max(), usize::MAX);
        assert_eq!(agent("grpc-go/1.56.3").bytes_max(), 4 << 20);
    }
}
