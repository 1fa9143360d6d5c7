//! The loop of one turn thread: takes its mail, runs its partitions, passes on what they decide.
//!
//! It is a plain thread that no async runtime is entered on: a timer or a network call that strays
//! into an orchestration fails at once instead of corrupting its replay.

mod lockstep;

use std::{
    cmp::Ordering,
    collections::BTreeMap,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender},
    },
    time::{Duration, Instant},
};

use foldhash::{HashMap, HashMapExt as _};
use taskhub_core::{
    Answer, Envelope, PartitionId, Refusal, RequestId, TurnRecord,
    partition::{Effect, Input},
    store::Ownership,
};
use tokio::sync::oneshot;

pub(super) use lockstep::Pacer;
pub use lockstep::{Dies, Lockstep};

use super::{
    dispatch::Dispatch,
    mail::{Generation, Mail, Opened, Post},
    readers::Wanted,
    tally::{Cached, Tallies},
};
use crate::{Routed, Shard, store::Clock};

/// How many pieces of mail are taken before turns are run.
const MAIL_AT_ONCE: usize = 1_024;

/// The longest that a thread sleeps; the system's clock may have been set meanwhile.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// How long a thread that is to stop waits for the lane, and how often it looks.
const STOP_MAX: Duration = Duration::from_secs(5);
const STOP_CHECK: Duration = Duration::from_millis(10);

/// What a turn thread is connected to.
pub(super) struct Links {
    pub inbox: Receiver<Mail>,
    pub post: Post,
    pub lane: SyncSender<(Ownership, Vec<TurnRecord>)>,
    pub readers: Sender<Wanted>,
    pub dispatch: Dispatch,
    pub clock: Clock,
    pub tallies: Arc<Tallies>,
    /// What this thread has in memory.
    pub cached: Arc<Cached>,
}

/// Runs until it is told to stop.
pub(super) fn run(shard: Shard, links: Links) {
    let mut thread = TurnThread::new(shard, links);
    while !thread.is_through() {
        thread.take_mail();
        thread.work();
    }
}

/// A client that waits for its answer.
struct Asker {
    waits: bool,
    sender: oneshot::Sender<Answer>,
}

struct TurnThread {
    shard: Shard,
    links: Links,
    answers: HashMap<RequestId, Asker>,
    inputs: BTreeMap<PartitionId, Vec<Input>>,
    generation: Generation,
    /// Messages to partitions that are about to be opened.
    early: Vec<(Generation, Envelope)>,
    /// Once it is to stop: when at the latest.
    stop_by: Option<Instant>,
}

impl TurnThread {
    fn new(shard: Shard, links: Links) -> Self {
        let (answers, inputs, early) = (HashMap::new(), BTreeMap::new(), Vec::new());
        Self { shard, links, answers, inputs, generation: 0, early, stop_by: None }
    }

    /// Whether it is to stop, and has answered all that it took in.
    fn is_through(&self) -> bool {
        self.stop_by.is_some_and(|by| self.answers.is_empty() || Instant::now() >= by)
    }

    /// Waits for mail, or until a partition wants to be called, and sorts what is there.
    fn take_mail(&mut self) {
        if self.inputs.is_empty() {
            let until =
                self.shard.next_wake().map_or(SLEEP_MAX, |at| at.since((self.links.clock)()));
            let longest = if self.stop_by.is_some() { STOP_CHECK } else { SLEEP_MAX };
            match self.links.inbox.recv_timeout(until.min(longest)) {
                Ok(mail) => self.sort(mail),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => self.stop_by = Some(Instant::now()),
            }
        }
        for _ in 1..MAIL_AT_ONCE {
            let Ok(mail) = self.links.inbox.try_recv() else { break };
            self.sort(mail);
        }
        for partition in self.shard.due((self.links.clock)()) {
            self.inputs.entry(partition).or_default();
        }
    }

    fn sort(&mut self, mail: Mail) {
        match mail {
            Mail::Ask(partition, request, sender) => {
                if self.shard.partition(partition).is_none() {
                    let why = "its partition is being taken over".to_owned();
                    let why = Refusal::Unavailable(request.instance, why);
                    let _ = sender.send(Answer::Refused(why));
                    return;
                }
                let waits = request.verb.waits();
                self.answers.insert(request.id, Asker { waits, sender });
                self.inputs.entry(partition).or_default().push(Input::Request(request));
            }
            Mail::Input(partition, input) => {
                match &input {
                    Input::Forget(request) => drop(self.answers.remove(request)),
                    Input::TaskDone(result) => self.links.dispatch.ended(&result.ticket),
                    _ => {}
                }
                self.inputs.entry(partition).or_default().push(input);
            }
            Mail::Owned(owner, input) => {
                if self.shard.owns(owner) {
                    self.inputs.entry(owner.partition).or_default().push(input);
                }
            }
            Mail::Deliver(generation, envelope) => match generation.cmp(&self.generation) {
                Ordering::Equal => self.deliver(envelope),
                Ordering::Greater => self.early.push((generation, envelope)),
                Ordering::Less => {} // The turn that sent it is void.
            },
            Mail::Open(generation, share) => self.open(generation, share),
            Mail::Close(generation, why) => self.close(generation, &why),
            Mail::Refuse => self.refuse(|asker| asker.waits, &Refusal::Stopping),
            Mail::Stop => {
                self.refuse(|asker| asker.waits, &Refusal::Stopping);
                self.stop_by = Some(Instant::now() + STOP_MAX);
            }
        }
    }

    fn open(&mut self, generation: Generation, share: Vec<Opened>) {
        self.generation = generation;
        for Opened { owned, wakes, busy, inbox } in share {
            self.shard.own(owned, wakes, busy);
            for envelope in inbox {
                self.deliver(envelope);
            }
        }
        for (early, envelope) in std::mem::take(&mut self.early) {
            self.sort(Mail::Deliver(early, envelope));
        }
    }

    fn close(&mut self, generation: Generation, why: &Refusal) {
        self.generation = generation;
        self.shard.clear();
        self.inputs.clear();
        self.links.dispatch.abandon();
        self.refuse(|_| true, why);
    }

    fn deliver(&mut self, envelope: Envelope) {
        self.inputs.entry(envelope.partition).or_default().push(Input::Deliver(envelope));
    }

    fn refuse(&mut self, which: impl Fn(&Asker) -> bool, why: &Refusal) {
        for (_, asker) in self.answers.extract_if(|_, asker| which(asker)) {
            let _ = asker.sender.send(Answer::Refused(why.clone()));
        }
    }

    fn work(&mut self) {
        while let Some((partition, inputs)) = self.inputs.pop_first() {
            let begun = Instant::now();
            if let Some(routed) = self.shard.handle(partition, inputs, (self.links.clock)()) {
                let is_read = |effect: &&Effect| matches!(effect, Effect::Read(_));
                let reads = routed.reads.len() + routed.effects.iter().filter(is_read).count();
                self.links.tallies.turned(routed.turns.len(), reads, begun.elapsed());
                self.pass_on(routed);
            }
        }
        self.links.cached.set(self.shard.cached());
    }

    fn pass_on(&mut self, routed: Routed) {
        let Routed { owner, turns, sent, reads, effects } = routed;
        // To the lane first: what others build on these turns must be queued behind them. This
        // blocks while the lane is full, which lets the mailboxes fill, which refuses requests.
        if !turns.is_empty() && self.links.lane.send((owner, turns)).is_err() {
            self.stop_by = Some(Instant::now());
            return;
        }
        for envelope in sent {
            if self.shard.partition(envelope.partition).is_some() {
                self.deliver(envelope);
            } else {
                let to = envelope.partition;
                self.links.post.send(to, Mail::Deliver(self.generation, envelope));
            }
        }
        for read in reads {
            let _ = self.links.readers.send((owner, read));
        }
        for effect in effects {
            match effect {
                Effect::Answer(request, answer) => {
                    if let Some(asker) = self.answers.remove(&request) {
                        let _ = asker.sender.send(answer);
                    }
                }
                Effect::Dispatch(task) => self.links.dispatch.start(task),
                Effect::Read(read) => {
                    let _ = self.links.readers.send((owner, read));
                }
                Effect::Cancel(ticket) => self.links.dispatch.cancel(&ticket),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

    use taskhub_core::{
        Epoch, InstanceId, Limits, Message, MessageId, Task,
        turn::{Functions, Orchestration},
    };

    use super::*;
    use crate::{
        Activities, Code, Patience, Running,
        hub::{mail, workers::Workers},
        store::system_clock,
    };

    const OWNED: Ownership = Ownership { partition: PartitionId(0), epoch: Epoch(1) };

    struct Nothing;

    impl Functions for Nothing {
        fn orchestration(&self, _: &str, _: Option<&str>) -> Option<&dyn Orchestration> {
            None
        }
    }

    impl Activities for Nothing {
        fn run(&self, _: &Task) -> Option<Running> {
            None
        }
    }

    fn workers(post: &Post) -> Workers {
        Workers::new(post.clone(), Patience::default(), &tokio::runtime::Handle::current())
    }

    fn thread() -> TurnThread {
        let (limits, (post, mut boxes)) = (Limits::default(), mail::post(1));
        let code = Code { functions: Arc::new(Nothing), activities: Arc::new(Nothing) };
        let links = Links {
            inbox: boxes.remove(0),
            dispatch: Dispatch::new(&code, &limits, post.clone(), workers(&post), 0),
            post,
            lane: mpsc::sync_channel(1).0,
            readers: mpsc::channel().0,
            clock: system_clock(),
            tallies: Arc::default(),
            cached: Arc::default(),
        };
        TurnThread::new(Shard::new(code.functions, &limits, 1), links)
    }

    fn message(generation: Generation) -> Mail {
        let id = MessageId { from: PartitionId(0), epoch: Epoch(1), number: 1 };
        let message = Message::Raise { name: "e".into(), input: None };
        let (to, partition) = (InstanceId::trusted("a"), PartitionId(0));
        Mail::Deliver(generation, Envelope { id, to, partition, message })
    }

    fn open(generation: Generation) -> Mail {
        let (wakes, busy, inbox) = (vec![], vec![], vec![]);
        Mail::Open(generation, vec![Opened { owned: OWNED, wakes, busy, inbox }])
    }

    fn delivered(thread: &TurnThread) -> usize {
        thread.inputs.get(&PartitionId(0)).map_or(0, Vec::len)
    }

    #[tokio::test]
    async fn a_message_that_comes_before_its_partition_is_open_waits_for_it() {
        let mut thread = thread();
        thread.sort(message(1));
        assert_eq!(delivered(&thread), 0);
        thread.sort(open(1));
        assert_eq!(delivered(&thread), 1);
    }

    #[tokio::test]
    async fn a_message_of_a_turn_that_a_recovery_dropped_is_void() {
        let mut thread = thread();
        thread.sort(open(1));
        thread.sort(Mail::Close(2, Refusal::Lost("this is a test".into())));
        thread.sort(message(1));
        thread.sort(open(3));
        thread.sort(message(1));
        assert_eq!(delivered(&thread), 0);
        thread.sort(message(3));
        assert_eq!(delivered(&thread), 1);
    }
}
