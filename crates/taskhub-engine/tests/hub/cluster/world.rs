//! The nodes of a test, their code, and the way from each to the others.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use taskhub_core::{
    Answer, Done, ExecutionId, InstanceId, Job, Limits, Reuse, Started, Task, Text, Timestamp,
    Verb, Work,
    store::Shared,
    turn::{Command, Functions, Orchestration, Run, Scope},
};
use taskhub_engine::{
    Activities, Asking, Code, Hub, NodeOptions, Peers, Running, Unreached,
    store::{MemoryStore, system_clock},
};

use tokio::task::JoinHandle;

use super::link::Link;

/// How many partitions the hubs of these tests have.
pub(crate) const PARTITIONS: u16 = 8;

/// How long leases last: short, and long enough for a slow machine.
const TTL: Duration = Duration::from_secs(1);

/// The orchestrations of these tests, by name, and their one activity.
struct Here;

impl Functions for Here {
    fn orchestration(&self, name: &str, _: Option<&str>) -> Option<&dyn Orchestration> {
        match name {
            "wait" => Some(&Wait),
            "chain" => Some(&Chain),
            "parent" => Some(&Parent),
            _ => None,
        }
    }
}

struct Wait;
impl Orchestration for Wait {
    fn begin(&self, scope: Scope, _: Option<Text>) -> Run {
        Box::pin(async move { scope.call(Command::Event { name: "reply".into() }).await })
    }
}

struct Chain;
impl Orchestration for Chain {
    fn begin(&self, scope: Scope, input: Option<Text>) -> Run {
        Box::pin(async move {
            let mut last = input;
            for _ in 0..3 {
                last = scope.call(Command::Activity(Work::new("add", last))).await?;
            }
            Ok(last)
        })
    }
}

struct Parent;
impl Orchestration for Parent {
    fn begin(&self, scope: Scope, input: Option<Text>) -> Run {
        Box::pin(async move {
            let mut last = input;
            for _ in 0..4 {
                let work = Work::new("chain", last);
                last = scope.call(Command::Child { instance: None, work }).await?;
            }
            Ok(last)
        })
    }
}

impl Activities for Here {
    fn run(&self, task: &Task) -> Option<Running> {
        let Job::Activity(work) = &task.job else { return None };
        let input: u64 = work.input.as_deref()?.parse().ok()?;
        let sum = Done::Activity(Ok(Some((input + 1).to_string().into())));
        Some(Box::pin(std::future::ready(sum)))
    }
}

/// Nodes by their addresses; the way of each to the others.
#[derive(Clone, Default)]
pub(crate) struct Net(Arc<Mutex<BTreeMap<String, There>>>);

/// What is at an address.
#[derive(Clone)]
enum There {
    Node(Hub),
    /// It takes questions and says nothing.
    Silent,
    /// Whoever asks finds after this time that there is no way.
    Far(Duration),
    /// Whoever asks hears after this time that there will be no answer.
    Mute(Duration),
}

impl Peers for Net {
    fn ask(&self, address: &str, instance: &InstanceId, verb: &Verb) -> Asking {
        let there = self.nodes().get(address).cloned();
        let (instance, verb) = (instance.clone(), verb.clone());
        Box::pin(async move {
            match there {
                Some(There::Node(hub)) => return Ok(hub.ask_here(instance, verb).await),
                Some(There::Silent) => std::future::pending().await,
                Some(There::Far(time)) => tokio::time::sleep(time).await,
                Some(There::Mute(time)) => {
                    tokio::time::sleep(time).await;
                    return Err(Unreached::Lost("it says nothing".into()));
                }
                None => {}
            }
            Err(Unreached::Unsent("there is no way".into()))
        })
    }
}

impl Net {
    fn nodes(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, There>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody reaches this node any more.
    pub(crate) fn remove(&self, address: &str) {
        self.nodes().remove(address);
    }

    /// This node hears what it is asked, and says nothing any more.
    pub(crate) fn silence(&self, address: &str) {
        self.nodes().insert(address.to_owned(), There::Silent);
    }

    /// The way to this node is gone, which is found out after this time.
    pub(crate) fn lose(&self, address: &str, after: Duration) {
        self.nodes().insert(address.to_owned(), There::Far(after));
    }

    /// This node takes what it is asked, and after this time it is known that it will not answer.
    pub(crate) fn mute(&self, address: &str, after: Duration) {
        self.nodes().insert(address.to_owned(), There::Mute(after));
    }

    /// The node at an address.
    pub(crate) fn at(&self, address: &str) -> Option<Hub> {
        match self.nodes().get(address) {
            Some(There::Node(hub)) => Some(hub.clone()),
            _ => None,
        }
    }
}

/// A store, and the nodes on it.
pub(crate) struct World {
    pub store: MemoryStore,
    pub net: Net,
    ttl: Duration,
    /// By how many microseconds the clock of the store is ahead.
    ahead: Arc<AtomicI64>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_leases_of(TTL)
    }

    /// One whose nodes look for each other a few times in that time, and otherwise when they hear
    /// something.
    pub(crate) fn with_leases_of(ttl: Duration) -> Self {
        let ahead = Arc::<AtomicI64>::default();
        let clock = {
            let ahead = ahead.clone();
            Arc::new(move || Timestamp(system_clock()().0 + ahead.load(Ordering::SeqCst)))
        };
        let store = MemoryStore::with_clock(PARTITIONS, clock);
        Self { store, net: Net::default(), ttl, ahead }
    }

    /// So much time passes for the store, by whose clock leases run out.
    pub(crate) fn pass(&self, time: Duration) {
        let micros = i64::try_from(time.as_micros()).expect("less than that");
        self.ahead.fetch_add(micros, Ordering::SeqCst);
    }

    /// A node that joins.
    pub(crate) fn join(&self, address: &str) -> (Hub, Link) {
        self.join_in(address, "all")
    }

    /// A node that joins, of a circle.
    pub(crate) fn join_in(&self, address: &str, circle: &str) -> (Hub, Link) {
        self.join_by(address, circle, Arc::new(self.net.clone()))
    }

    /// A node that joins and has this way to the others.
    pub(crate) fn join_by(
        &self,
        address: &str,
        circle: &str,
        peers: Arc<dyn Peers>,
    ) -> (Hub, Link) {
        let link = Link::new(&self.store);
        let code = Code { functions: Arc::new(Here), activities: Arc::new(Here) };
        let options = NodeOptions {
            address: address.into(),
            circle: circle.into(),
            lanes: Some(2),
            ttl: self.ttl,
            looks: self.ttl,
            peers: Some(peers),
        };
        let hub = Hub::open_as(Arc::new(link.store.clone()), &code, Limits::default(), options);
        let hub = hub.expect("the store works");
        self.net.nodes().insert(address.to_owned(), There::Node(hub.clone()));
        (hub, link)
    }

    /// Two nodes that share the partitions.
    pub(crate) async fn pair(&self) -> [(Hub, Link); 2] {
        let pair = [self.join("a"), self.join("b")];
        self.until_shared(&[("a", 4), ("b", 4)]).await;
        pair
    }

    /// How many partitions each node has, by its address.
    pub(crate) fn shares(&self) -> BTreeMap<String, usize> {
        let mut shares = BTreeMap::new();
        for lease in self.store.owners().expect("it is in memory") {
            *shares.entry(lease.node.address.to_string()).or_default() += 1;
        }
        shares
    }

    /// Waits until the partitions are spread like this.
    pub(crate) async fn until_shared(&self, among: &[(&str, usize)]) {
        let wanted: BTreeMap<_, _> =
            among.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        let spread = async {
            while self.shares() != wanted {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let spread = tokio::time::timeout(Duration::from_mins(1), spread).await;
        assert!(spread.is_ok(), "{:?} instead of {wanted:?}", self.shares());
    }
}

/// Asks a node for the ends of these, and comes back when all are held there.
pub(crate) async fn hold(node: &Hub, instances: Vec<InstanceId>) -> Vec<JoinHandle<Answer>> {
    let count = instances.len();
    let held = instances.into_iter().map(|instance| {
        let node = node.clone();
        tokio::spawn(async move { node.ask(instance, Verb::Wait).await })
    });
    let held = held.collect();
    while node.held_requests() < count {
        tokio::task::yield_now().await;
    }
    held
}

pub(crate) fn id(text: &str) -> InstanceId {
    InstanceId::parse(text).expect("a good id")
}

/// So many ids, which lie in all partitions.
pub(crate) fn ids(count: usize) -> Vec<InstanceId> {
    (0..count).map(|number| id(&format!("instance-{number}"))).collect()
}

/// A start that can be repeated.
pub(crate) fn start(name: &str, number: usize) -> Verb {
    let execution = ExecutionId(number as u128);
    let started = Started::new(name, Some("0".into()), execution);
    Verb::Start { started: Box::new(started), reuse: Reuse::Join }
}

pub(crate) fn raise(input: &str) -> Verb {
    Verb::Raise { name: "reply".into(), input: Some(input.into()) }
}

/// What an instance returned.
pub(crate) fn output(answer: Answer) -> String {
    match answer {
        Answer::Status(record) => match record.outcome {
            Some(Ok(Some(output))) => output.to_string(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}
