//! Nodes that ask each other: what comes back is what the hub itself answers.

use std::time::Duration;

use taskhub_core::{
    Answer, ExecutionId, InstanceId, Operation, Refusal, Requested, Reuse, RuntimeStatus, Started,
    Verb,
};
use taskhub_engine::{Hub, Peers as _, Unreached};
use taskhub_server::{Config, HubName, Nodes};
use taskhub_wire::{NODE_KEY, proto};
use tonic::Code;

use crate::running::Running;

const SECRET: &str = "a long random text";
const LONG: Duration = Duration::from_mins(1);

fn guarded(config: &mut Config) {
    config.cluster.secret = Some(SECRET.to_owned());
    config.tokens = vec!["for clients".to_owned()];
    config.limits.payload_bytes = 1_000;
}

/// A server as one node, and another node's way to it.
struct Pair {
    server: Running,
    address: String,
    nodes: Nodes,
    hub: Hub,
}

impl Pair {
    async fn start() -> Self {
        let server = Running::with(guarded).await;
        let hub = server.hubs.hub(&HubName::default()).await.unwrap();
        let address = format!("http://{}", server.address);
        let nodes = Nodes::new(HubName::default(), SECRET);
        Self { server, address, nodes, hub }
    }

    async fn ask(&self, id: &str, verb: Verb) -> Result<Answer, Unreached> {
        self.nodes.ask(&self.address, &InstanceId::trusted(id), &verb).await
    }

    /// What the hub says to another node, and what it says itself.
    async fn both(&self, id: &str, verb: Verb) -> (Answer, Answer) {
        let there = self.ask(id, verb.clone()).await.unwrap();
        (there, self.hub.ask(InstanceId::trusted(id), verb).await)
    }
}

fn start(execution: u128, reuse: Reuse) -> Verb {
    let started = Started::new("order", Some("1".into()), ExecutionId(execution));
    Verb::Start { started: Box::new(started), reuse }
}

fn raise(bytes: usize) -> Verb {
    Verb::Raise { name: "paid".into(), input: Some("x".repeat(bytes).into()) }
}

fn signal() -> Verb {
    let operation = Operation::new("r", "add", None);
    Verb::Signal(Box::new(Requested { operation, caller: None, due: None }))
}

#[tokio::test]
async fn a_node_hears_of_another_what_the_hub_there_says() {
    let pair = Pair::start().await;
    let begun = pair.ask("a", start(7, Reuse::Replace(Vec::new()))).await;
    assert_eq!(begun, Ok(Answer::Started(ExecutionId(7))));
    let joined = pair.ask("a", start(8, Reuse::Join)).await;
    assert_eq!(joined, Ok(Answer::Started(ExecutionId(7))));
    let started = Box::new(Started::new("order", None, ExecutionId(9)));
    let (name, input, until) = ("paid".into(), None, pair.hub.now());
    let early = Verb::RaiseEarly { name, input, until };
    let (name, input, reuse) = ("paid".into(), None, Reuse::ended());
    for verb in [
        early,
        Verb::StartOrRaise { started, reuse, name, input },
        Verb::Status,
        raise(10),
        raise(1_001),
        Verb::Suspend { reason: Some("lunch".into()) },
        Verb::Resume { reason: None },
        start(9, Reuse::Replace(Vec::new())),
        Verb::Purge,
        Verb::Rewind { reason: None },
    ] {
        let (there, here) = pair.both("a", verb.clone()).await;
        let (Answer::Status(mut there), Answer::Status(mut here)) = (there.clone(), here.clone())
        else {
            assert_eq!(there, here, "{verb:?}");
            continue;
        };
        // When it is looked at next is of no use elsewhere.
        (there.due, there.busy) = (None, false);
        (here.due, here.busy) = (None, false);
        assert_eq!(there, here);
    }
    pair.server.stop().await;
}

#[tokio::test]
async fn what_is_over_or_absent_is_refused_alike() {
    let pair = Pair::start().await;
    let nobody = [
        Verb::Status,
        raise(1),
        Verb::Terminate { reason: None, recursive: false },
        Verb::Suspend { reason: None },
        Verb::Resume { reason: None },
        Verb::Rewind { reason: None },
        Verb::Purge,
        Verb::Wait,
        Verb::WaitStart,
    ];
    for verb in nobody {
        let (there, here) = pair.both("nobody", verb.clone()).await;
        assert_eq!(there, here, "{verb:?}");
        assert!(matches!(there, Answer::Refused(Refusal::NotFound(_))), "{verb:?}");
    }
    pair.ask("a", start(1, Reuse::Fresh)).await.unwrap();
    let end = Verb::Terminate { reason: Some("enough".into()), recursive: true };
    assert_eq!(pair.ask("a", end.clone()).await, Ok(Answer::Done));
    for verb in [end, raise(1), Verb::Suspend { reason: None }, Verb::Rewind { reason: None }] {
        let (there, here) = pair.both("a", verb.clone()).await;
        assert_eq!(there, here, "{verb:?}");
        assert!(matches!(there, Answer::Refused(_)), "{verb:?}");
    }
    assert_eq!(pair.ask("a", Verb::Purge).await, Ok(Answer::Done));
    pair.server.stop().await;
}

#[tokio::test]
async fn entities_are_signaled_purged_and_given_back_through_other_nodes() {
    let pair = Pair::start().await;
    let id = "@counter@a";
    assert_eq!(pair.ask(id, signal()).await, Ok(Answer::Done));
    for verb in [Verb::Purge, Verb::Unlock { section: "s".into() }] {
        let (there, here) = pair.both(id, verb.clone()).await;
        assert_eq!(there, here, "{verb:?}");
    }
    let entity = pair.hub.entity(InstanceId::trusted(id)).await.unwrap().unwrap();
    assert_eq!(entity.backlog, 1);
    pair.server.stop().await;
}

#[tokio::test]
async fn a_wait_is_answered_the_moment_the_instance_ends_elsewhere() {
    let pair = Pair::start().await;
    pair.ask("a", start(1, Reuse::Fresh)).await.unwrap();
    let waits = pair.nodes.ask(&pair.address, &InstanceId::trusted("a"), &Verb::Wait);
    let end = Verb::Terminate { reason: Some("enough".into()), recursive: false };
    let ends = async {
        while pair.hub.held_requests() == 0 {
            tokio::task::yield_now().await;
        }
        pair.hub.ask(InstanceId::trusted("a"), end).await
    };
    let (heard, ended) = tokio::join!(tokio::time::timeout(LONG, waits), ends);
    assert_eq!(ended, Answer::Done);
    let Ok(Ok(Answer::Status(record))) = heard else { panic!("{heard:?}") };
    let (status, outcome) = (record.status, record.outcome);
    assert_eq!((status, outcome), (RuntimeStatus::Terminated, Some(Ok(Some("enough".into())))));
    pair.server.stop().await;
}

#[tokio::test]
async fn who_expects_an_instance_waits_at_the_node_where_it_will_be() {
    let pair = Pair::start().await;
    let id = InstanceId::trusted("later");
    let ends = pair.nodes.ask(&pair.address, &id, &Verb::Expect);
    let begins = pair.nodes.ask(&pair.address, &id, &Verb::ExpectStart);
    let comes = async {
        while pair.hub.held_requests() < 2 {
            tokio::task::yield_now().await;
        }
        pair.hub.ask(id.clone(), start(1, Reuse::Fresh)).await;
        pair.hub.ask(id.clone(), Verb::Terminate { reason: None, recursive: false }).await
    };
    let heard = async { tokio::join!(ends, begins, comes) };
    let (end, begin, _) = tokio::time::timeout(LONG, heard).await.unwrap();
    for heard in [end, begin] {
        let Ok(Answer::Status(record)) = heard else { panic!("{heard:?}") };
        assert_eq!(record.status, RuntimeStatus::Terminated);
    }
    pair.server.stop().await;
}

#[tokio::test]
async fn who_waits_at_a_node_that_leaves_is_told_and_heals() {
    let pair = Pair::start().await;
    pair.ask("a", start(1, Reuse::Fresh)).await.unwrap();
    let waits = pair.nodes.ask(&pair.address, &InstanceId::trusted("a"), &Verb::Wait);
    let Pair { server, address, nodes, hub } = pair;
    let port = server.address;
    let leaves = async {
        while hub.held_requests() == 0 {
            tokio::task::yield_now().await;
        }
        drop(hub);
        server.stop().await
    };
    let (heard, folder) = tokio::join!(tokio::time::timeout(LONG, waits), leaves);
    assert_eq!(heard, Ok(Ok(Answer::Refused(Refusal::Stopping))));
    let asked = nodes.ask(&address, &InstanceId::trusted("a"), &Verb::Status).await;
    assert!(matches!(asked, Err(Unreached::Unsent(_))), "{asked:?}");

    let server = Running::again(folder, |config| {
        guarded(config);
        config.listen = vec![port.to_string()];
    });
    let server = server.await;
    let asked = nodes.ask(&address, &InstanceId::trusted("a"), &Verb::Status).await;
    assert!(matches!(asked, Ok(Answer::Status(_))), "{asked:?}");
    server.stop().await;
}

#[tokio::test]
async fn who_does_not_know_the_secret_is_no_node() {
    let pair = Pair::start().await;
    let impostor = Nodes::new(HubName::default(), "a guess");
    let asked = impostor.ask(&pair.address, &InstanceId::trusted("a"), &start(1, Reuse::Fresh));
    assert!(matches!(asked.await, Err(Unreached::Unsent(_))));
    let absent = pair.hub.ask(InstanceId::trusted("a"), Verb::Status).await;
    assert!(matches!(absent, Answer::Refused(Refusal::NotFound(_))));

    // Nor does a server take anybody for one that has no secret.
    let open = Running::plain().await;
    let mut request = tonic::Request::new(proto::GetInstanceRequest::default());
    request.metadata_mut().insert(NODE_KEY, "".parse().unwrap());
    let refused = open.client().await.get_instance(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    open.stop().await;
    pair.server.stop().await;
}
