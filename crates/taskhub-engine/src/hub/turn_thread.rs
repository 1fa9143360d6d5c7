//! The loop of one turn thread: takes its mail, runs its partitions, passes on what they decide.
//!
//! It is a plain thread that no async runtime is entered on: a timer or a network call that strays
//! into an orchestration parks it at once instead of corrupting its replay.

mod lockstep;
mod moves;
mod passing;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender},
    },
    time::{Duration, Instant},
};

use foldhash::{HashMap, HashMapExt as _};
use taskhub_core::{
    Answer, InstanceId, PartitionId, Refusal, Request, RequestId, Verb,
    partition::{Effect, Input},
    store::Ownership,
};
use tokio::sync::oneshot;

pub use lockstep::{Death, Dies, Lockstep};

use super::{
    dispatch::Dispatch,
    keeper::Errand,
    lane_thread::ToLane,
    mail::{Generation, Mail, Post},
    readers::Wanted,
    tally::{Cached, Tallies},
    tenure::{Tenure, Term},
    warnings::warn,
};
use crate::{Routed, Shard, store::Clock};
use passing::Looks;

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
    pub lanes: Vec<SyncSender<ToLane>>,
    pub readers: Sender<Wanted>,
    pub keeper: Sender<Errand>,
    /// Where to say in which inboxes of other nodes something stands, if there can be others.
    pub hints: Option<Sender<PartitionId>>,
    pub tenure: Tenure,
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
        thread.look_around();
    }
}

/// A client that waits for its answer.
struct Asker {
    partition: PartitionId,
    instance: InstanceId,
    waits: bool,
    /// Whether what it asks for changes nothing.
    reads: bool,
    sender: oneshot::Sender<Answer>,
}

struct TurnThread {
    shard: Shard,
    links: Links,
    answers: HashMap<RequestId, Asker>,
    inputs: BTreeMap<PartitionId, Vec<Input>>,
    /// What partitions are told first when they are opened again.
    void: BTreeMap<PartitionId, Input>,
    /// Of each lane.
    generations: Vec<Generation>,
    looks: Looks,
    term: Term,
    /// Once it is to stop: when at the latest.
    stop_by: Option<Instant>,
}

impl TurnThread {
    fn new(shard: Shard, links: Links) -> Self {
        let (answers, inputs, void) = (HashMap::new(), BTreeMap::new(), BTreeMap::new());
        let (generations, looks) = (vec![0; links.lanes.len()], Looks::default());
        Self { shard, links, answers, inputs, void, generations, looks, term: 0, stop_by: None }
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
            Mail::Ask(partition, request, sender) => self.take_request(partition, request, sender),
            Mail::Input(partition, input) => {
                match &input {
                    Input::Forget(request) => drop(self.answers.remove(request)),
                    Input::TaskDone(result) => self.links.dispatch.ended(&result.ticket),
                    _ => {}
                }
                self.inputs.entry(partition).or_default().push(input);
            }
            Mail::Results(results) => results.into_iter().for_each(|it| {
                self.inputs.entry(it.ticket.partition).or_default().push(Input::TaskDone(it));
            }),
            Mail::Owned(owner, input) if self.shard.owns(owner) => {
                self.inputs.entry(owner.partition).or_default().push(input);
            }
            Mail::Owned(..) => {}
            Mail::Deliver(passed, sent_in) => self.deliver(passed, sent_in),
            Mail::Look(partition, tell) => self.look(partition, tell),
            Mail::Found(owner, found) => self.found(owner, found),
            Mail::Open(share) => self.open(share),
            Mail::Close(lane, generation, why) => self.close(lane, generation, &why),
            Mail::Void(partition, input) => drop(self.void.insert(partition, input)),
            Mail::Lose(owned) => self.lose(owned),
            Mail::Leave(owned) => self.leave(owned),
            Mail::Term(term) => self.term = term,
            Mail::Refuse => self.refuse(|asker| asker.waits, |_| Refusal::Stopping),
            Mail::Stop => {
                self.refuse(|asker| asker.waits, |_| Refusal::Stopping);
                self.stop_by = Some(Instant::now() + STOP_MAX);
            }
        }
    }

    fn take_request(
        &mut self,
        partition: PartitionId,
        request: Request,
        sender: oneshot::Sender<Answer>,
    ) {
        if !self.shard.serves(partition) || !self.links.tenure.is_sure(self.term) {
            let _ = sender.send(Answer::Refused(Refusal::Moved(request.instance)));
            return;
        }
        let (instance, waits) = (request.instance.clone(), request.verb.waits());
        let reads = waits || matches!(request.verb, Verb::Status);
        self.answers.insert(request.id, Asker { partition, instance, waits, reads, sender });
        self.inputs.entry(partition).or_default().push(Input::Request(request));
    }

    fn refuse(&mut self, which: impl Fn(&Asker) -> bool, why: impl Fn(&Asker) -> Refusal) {
        for (_, asker) in self.answers.extract_if(|_, asker| which(asker)) {
            let why = why(&asker);
            let _ = asker.sender.send(Answer::Refused(why));
        }
    }

    fn work(&mut self) {
        while let Some((partition, inputs)) = self.inputs.pop_first() {
            self.run(partition, inputs);
        }
        self.links.dispatch.hand_over();
        self.links.cached.set(self.shard.cached());
    }

    fn run(&mut self, partition: PartitionId, inputs: Vec<Input>) {
        let begun = Instant::now();
        if let Some(routed) = self.shard.handle(partition, inputs, (self.links.clock)()) {
            let is_read = |effect: &&Effect| matches!(effect, Effect::Read(_));
            let reads = routed.reads.len() + routed.effects.iter().filter(is_read).count();
            self.links.tallies.turned(routed.turns.len(), reads, begun.elapsed());
            self.pass_on(routed, begun);
        }
    }

    fn lane(&self, partition: PartitionId) -> usize {
        usize::from(self.links.post.lane_of(partition))
    }

    fn pass_on(&mut self, routed: Routed, begun: Instant) {
        let Routed { owner, opened, turns, sent, reads, effects, left } = routed;
        let lane = self.lane(owner.partition);
        // To the lane first: what others build on these turns must be queued behind them. This
        // blocks while the lane is full, which lets the mailboxes fill, which refuses requests.
        if !turns.is_empty()
            && self.links.lanes[lane].send(ToLane::Turns(owner, opened, turns, begun)).is_err()
        {
            self.stop_by = Some(Instant::now());
            return;
        }
        self.send(owner, opened, sent);
        for read in reads {
            let _ = self.links.readers.send(Wanted::Read(owner, read));
        }
        for effect in effects {
            self.effect(owner, effect);
        }
        if left {
            self.left(owner);
        }
    }

    fn effect(&mut self, owner: Ownership, effect: Effect) {
        match effect {
            Effect::Answer(request, answer) => {
                let Some(asker) = self.answers.remove(&request) else { return };
                let answer = if self.links.tenure.is_sure(self.term) {
                    answer
                } else {
                    Answer::Refused(lost(&asker))
                };
                let _ = asker.sender.send(answer);
            }
            Effect::Dispatch(task) => self.links.dispatch.start(task),
            Effect::Read(read) => {
                let _ = self.links.readers.send(Wanted::Read(owner, read));
            }
            Effect::Cancel(ticket) => self.links.dispatch.cancel(&ticket),
            Effect::Warn(instance, warning) => warn(&instance, &warning),
            _ => {}
        }
    }
}

/// Whoever is not answered when a thread ends does not know what became of the question.
impl Drop for TurnThread {
    fn drop(&mut self) {
        self.refuse(|_| true, |_| Refusal::Lost("the node stopped".to_owned()));
    }
}

/// What is told when another node may own the partition by now.
fn lost(asker: &Asker) -> Refusal {
    if asker.reads {
        Refusal::Moved(asker.instance.clone())
    } else {
        Refusal::Lost("its partition was taken over by another node".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

    use taskhub_core::{Envelope, Epoch, Limits, Message, MessageId};

    use super::*;
    use crate::{
        Code, Passed, Patience,
        hub::{
            mail::{self, Opened},
            workers::Workers,
        },
        store::system_clock,
    };

    const OWNED: Ownership = Ownership { partition: PartitionId(0), epoch: Epoch(1) };

    fn workers(post: &Post) -> Workers {
        Workers::new(post.clone(), Patience::default(), &tokio::runtime::Handle::current())
    }

    fn thread() -> (TurnThread, mpsc::Receiver<ToLane>) {
        let (limits, (post, mut boxes)) = (Limits::default(), mail::post(1, 1));
        let code = Code::elsewhere();
        let (lane, turns) = mpsc::sync_channel(9);
        let links = Links {
            inbox: boxes.remove(0),
            dispatch: Dispatch::new(&code, &limits, post.clone(), workers(&post), 0),
            post,
            lanes: vec![lane],
            readers: mpsc::channel().0,
            keeper: mpsc::channel().0,
            hints: None,
            tenure: Tenure::endless(),
            clock: system_clock(),
            tallies: Arc::default(),
            cached: Arc::default(),
        };
        (TurnThread::new(Shard::new(code.functions, &limits, 1, 1), links), turns)
    }

    fn message(generation: Generation, count: u64) -> Mail {
        let id = MessageId { from: PartitionId(0), epoch: Epoch(1), number: count };
        let message = Message::Raise { name: "e".into(), input: None };
        let (to, partition) = (InstanceId::trusted("a"), PartitionId(0));
        let envelope = Envelope { id, to, partition, message };
        Mail::Deliver(Passed { envelope, opened: 1, sent: 3 }, Some(generation))
    }

    fn open() -> Mail {
        let (wakes, busy, inbox) = (vec![], vec![], (vec![], false));
        let (owned, claimed, looked) = (OWNED, 1, 2);
        Mail::Open(vec![Opened { owned, claimed, looked, wakes, busy, inbox }])
    }

    fn delivered(thread: &TurnThread) -> usize {
        thread.inputs.get(&PartitionId(0)).map_or(0, Vec::len)
    }

    #[tokio::test]
    async fn a_message_that_comes_before_its_partition_is_open_is_left_to_the_inbox() {
        let (mut thread, turns) = thread();
        thread.sort(message(0, 1));
        assert_eq!(delivered(&thread), 0);
        assert!(matches!(turns.try_recv(), Ok(ToLane::Look(PartitionId(0)))));
        thread.sort(open());
        thread.sort(message(0, 1));
        assert_eq!(delivered(&thread), 1);
    }

    #[tokio::test]
    async fn a_message_of_a_turn_that_a_recovery_dropped_is_void() {
        let (mut thread, turns) = thread();
        thread.sort(open());
        thread.sort(Mail::Close(0, 1, Refusal::Lost("this is a test".into())));
        thread.sort(message(0, 1));
        thread.sort(open());
        thread.sort(message(0, 1));
        assert_eq!(delivered(&thread), 0);
        assert!(turns.try_recv().is_err());
        thread.sort(message(1, 1));
        assert_eq!(delivered(&thread), 1);
    }

    #[tokio::test]
    async fn a_partition_that_leaves_takes_nothing_in_and_is_let_go() {
        let (mut thread, turns) = thread();
        let (keeper, errands) = mpsc::channel();
        thread.links.keeper = keeper;
        thread.sort(open());
        thread.sort(Mail::Leave(OWNED));
        thread.sort(message(0, 1));
        assert!(matches!(turns.try_recv(), Ok(ToLane::Look(PartitionId(0)))));
        let (sender, mut answer) = oneshot::channel();
        let request =
            Request { id: RequestId(1), instance: InstanceId::trusted("a"), verb: Verb::Wait };
        thread.sort(Mail::Ask(PartitionId(0), request, sender));
        assert!(matches!(answer.try_recv(), Ok(Answer::Refused(Refusal::Moved(_)))));
        thread.work();
        assert!(matches!(errands.try_recv(), Ok(Errand::Left(OWNED))));
        assert!(!thread.shard.owns(OWNED));
    }
}
