//! The loop of one turn thread: takes its mail, runs its partitions, passes on what they decide.
//!
//! It is a plain thread that no async runtime is entered on: a timer or a network call that strays
//! into an orchestration fails at once instead of corrupting its replay.

use std::{
    collections::BTreeMap,
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender},
    time::{Duration, Instant},
};

use foldhash::{HashMap, HashMapExt as _};
use taskhub_core::{
    Answer, PartitionId, Refusal, RequestId, TurnRecord, Verb,
    partition::{Effect, Input},
    store::Ownership,
};
use tokio::sync::oneshot;

use super::{
    clock,
    dispatch::Dispatch,
    mail::{Mail, Post},
    readers::Wanted,
};
use crate::{Routed, Shard};

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
}

/// Runs until it is told to stop.
pub(super) fn run(shard: Shard, links: Links) {
    let mut thread = TurnThread {
        shard,
        links,
        answers: HashMap::new(),
        inputs: BTreeMap::new(),
        stop_by: None,
    };
    while !thread.is_through() {
        thread.take_mail();
        thread.work();
    }
}

/// A client that waits for its answer.
struct Asker {
    partition: PartitionId,
    waits: bool,
    sender: oneshot::Sender<Answer>,
}

struct TurnThread {
    shard: Shard,
    links: Links,
    answers: HashMap<RequestId, Asker>,
    inputs: BTreeMap<PartitionId, Vec<Input>>,
    /// Once it is to stop: when at the latest.
    stop_by: Option<Instant>,
}

impl TurnThread {
    /// Whether it is to stop, and has answered all that it took in.
    fn is_through(&self) -> bool {
        self.stop_by.is_some_and(|by| self.answers.is_empty() || Instant::now() >= by)
    }

    /// Waits for mail, or until a partition wants to be called, and sorts what is there.
    fn take_mail(&mut self) {
        if self.inputs.is_empty() {
            let until = self.shard.next_wake().map_or(SLEEP_MAX, |at| at.since(clock::now()));
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
        for partition in self.shard.due(clock::now()) {
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
                let waits = matches!(request.verb, Verb::Wait);
                self.answers.insert(request.id, Asker { partition, waits, sender });
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
            Mail::Own(owned, wakes, inbox) => {
                // When the store fails again while others are opened, this one is opened twice.
                let again = Refusal::Lost("the store failed again".to_owned());
                self.disown(owned.partition, &again);
                self.shard.own(owned, wakes);
                let inbox = inbox.into_iter().map(Input::Deliver);
                self.inputs.entry(owned.partition).or_default().extend(inbox);
            }
            Mail::Disown(partition, why) => self.disown(partition, &why),
            Mail::Refuse => self.refuse(|asker| asker.waits, &Refusal::Stopping),
            Mail::Stop => {
                self.refuse(|asker| asker.waits, &Refusal::Stopping);
                self.stop_by = Some(Instant::now() + STOP_MAX);
            }
        }
    }

    fn disown(&mut self, partition: PartitionId, why: &Refusal) {
        self.shard.disown(partition);
        self.inputs.remove(&partition);
        self.refuse(|asker| asker.partition == partition, why);
    }

    fn refuse(&mut self, which: impl Fn(&Asker) -> bool, why: &Refusal) {
        for (_, asker) in self.answers.extract_if(|_, asker| which(asker)) {
            let _ = asker.sender.send(Answer::Refused(why.clone()));
        }
    }

    fn work(&mut self) {
        while let Some((partition, inputs)) = self.inputs.pop_first() {
            if let Some(routed) = self.shard.handle(partition, inputs, clock::now()) {
                self.pass_on(routed);
            }
        }
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
            let partition = envelope.partition;
            let input = Input::Deliver(envelope);
            if self.shard.partition(partition).is_some() {
                self.inputs.entry(partition).or_default().push(input);
            } else {
                self.links.post.send(partition, Mail::Input(partition, input));
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
