//! Turns of orchestrations that a server handed out, on threads of their own.
//!
//! Code of orchestrations cannot move between threads, and must not find a runtime to do I/O on. So
//! an instance always comes to the same plain thread, which runs it by the core's own executor.
//!
//! Where an activity ends whose instance stands here and waits for no other one, its next turn is
//! run *ahead*: the result goes to the server with the turn that took it, which is one message
//! instead of three. The server takes the turn if it is the next one, and else the result alone.
//! The code has gone on by then; it is of use again once the server says that its last turn counts.

use std::{
    collections::BTreeSet,
    hash::{BuildHasher as _, RandomState},
    io,
    sync::{
        Arc,
        mpsc::{self, SendError},
    },
    thread,
};

use taskhub_core::{
    CallId, Event, Job, Kind, Mark, Outcome, Piece, Taken, Text, Ticket, Timestamp, Turn,
    turn::{Execution, Functions, Progress},
};
use taskhub_engine::{Watch, watch};
use taskhub_wire::{
    Extent, InvalidMessage, is_answered_by_name, news_in, outcome_in,
    proto::{
        ActivityResponse, OrchestratorRequest, OrchestratorResponse, WorkItem, work_item::Request,
    },
    results::Ahead,
    taken_out, work_item_in,
};
use tokio::sync::oneshot;

use super::kept::{Kept, Key, Shelf};

/// What came of a turn.
pub(super) enum Came {
    /// This.
    To(Box<OrchestratorResponse>),
    /// The code cannot go on, for this reason: it does not fit the history, or it panicked.
    Stuck(Text),
    /// There is no such code here.
    Absent,
    /// The code is not here any more, or stands elsewhere: it is to be run again, with the whole
    /// history.
    Missed(Box<OrchestratorRequest>),
}

enum Ask {
    /// A turn that the server handed out.
    Turn(OrchestratorRequest, String, Then<Came>),
    /// A turn ahead, if the code stands here.
    Ahead(Ended, Then<Option<Box<Ahead>>>),
}

/// An activity that ended here.
pub(super) struct Ended {
    key: Key,
    call: CallId,
    outcome: Outcome,
    at: Timestamp,
}

/// What is to be done with what came of it, on the thread that ran it.
type Then<T> = Box<dyn FnOnce(T) + Send>;

/// The threads that run turns; they end when this is dropped.
pub(super) struct Turns {
    threads: Vec<mpsc::Sender<Ask>>,
    hasher: RandomState,
}

impl Turns {
    /// Starts the threads; together they keep code of so many bytes.
    pub(super) fn start(functions: &Arc<dyn Functions>, bytes_max: usize) -> io::Result<Self> {
        let count = thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2));
        let count = count.min(8);
        let mut threads = Vec::with_capacity(count);
        let watches: Vec<_> = (0..count).map(|_| Arc::<Watch>::default()).collect();
        for (index, watched) in watches.iter().enumerate() {
            let (sender, asks) = mpsc::channel::<Ask>();
            let (functions, watch) = (functions.clone(), watched.clone());
            thread::Builder::new().name(format!("taskhub-remote-{index}")).spawn(move || {
                let (shelf, marks) = (Shelf::new(bytes_max / count), RandomState::new());
                let mut thread = Thread { functions, shelf, watch, marks, ran: 0 };
                while let Ok(ask) = asks.recv() {
                    thread.answer(ask);
                }
            })?;
            threads.push(sender);
        }
        watch(&watches)?;
        Ok(Self { threads, hasher: RandomState::new() })
    }

    /// Runs the turn of a work item; `None` when the thread is gone.
    pub(super) async fn run(&self, request: OrchestratorRequest, token: String) -> Option<Came> {
        let (answer, came) = oneshot::channel();
        self.ask(request, token, move |came| drop(answer.send(came)));
        came.await.ok()
    }

    /// The same without waiting.
    pub(super) fn ask(
        &self,
        request: OrchestratorRequest,
        token: String,
        then: impl FnOnce(Came) + Send + 'static,
    ) {
        let thread = self.thread(&request.instance_id);
        let _ = thread.send(Ask::Turn(request, token, Box::new(then)));
    }

    /// Runs the next turn of the instance of an activity ahead, if its code stands here and waits
    /// for no other activity.
    pub(super) fn ahead(
        &self,
        ended: Ended,
        then: impl FnOnce(Option<Box<Ahead>>) + Send + 'static,
    ) {
        let thread = self.thread(&ended.key.0);
        // A thread that is gone has no code.
        if let Err(SendError(Ask::Ahead(_, then))) = thread.send(Ask::Ahead(ended, Box::new(then)))
        {
            then(None);
        }
    }

    fn thread(&self, instance: &str) -> &mpsc::Sender<Ask> {
        let hash = self.hasher.hash_one(instance);
        let index = usize::try_from(hash % self.threads.len() as u64).unwrap_or_default();
        &self.threads[index]
    }
}

impl Ended {
    /// The activity of this ticket; none of other work. Its result is what the server will read.
    pub(super) fn of(ticket: &Ticket, result: &ActivityResponse, at: Timestamp) -> Option<Self> {
        let Piece::Activity(call) = ticket.piece else { return None };
        let key = (ticket.instance.to_string(), Some(ticket.execution.to_string()));
        Some(Self { key, call, outcome: outcome_in(result.clone()), at })
    }
}

struct Thread {
    functions: Arc<dyn Functions>,
    shelf: Shelf,
    watch: Arc<Watch>,
    /// What names of turns are drawn from, and how many were.
    marks: RandomState,
    ran: u64,
}

impl Thread {
    fn answer(&mut self, ask: Ask) {
        match ask {
            Ask::Turn(request, token, then) => {
                let came = self.run(request, token);
                then(came.unwrap_or_else(|error| Came::Stuck(wrong(&error))));
            }
            Ask::Ahead(ended, then) => then(self.run_ahead(ended)),
        }
    }

    fn run(
        &mut self,
        request: OrchestratorRequest,
        completion_token: String,
    ) -> Result<Came, InvalidMessage> {
        let key = (request.instance_id.clone(), request.execution_id.clone());
        let left_out = request.left_out.filter(|_| request.requires_history_streaming);
        let past = left_out.map_or_else(|| Extent::of(&request.past_events), Extent::told);
        let new = Extent::of(&request.new_events);
        let found = match self.shelf.take(&key, past, left_out.map_or(0, |it| it.mark)) {
            Some(kept) => Some(go_on(kept, request)?),
            None if left_out.is_some() => return Ok(Came::Missed(Box::new(request))),
            None => begin(&*self.functions, request)?,
        };
        let Some(mut kept) = found else { return Ok(Came::Absent) };
        (kept.extent, kept.is_ahead) = (past, false);
        Ok(match self.step(key, kept, new, completion_token) {
            Ok(response) => Came::To(Box::new(response)),
            Err(why) => Came::Stuck(why),
        })
    }

    /// Runs a turn that nobody has asked for yet; none if its code does not stand here, or is stuck
    /// with it. Who is asked for that turn then finds out by itself.
    fn run_ahead(&mut self, ended: Ended) -> Option<Box<Ahead>> {
        let Ended { key, call, outcome, at } = ended;
        let mut kept = self.shelf.take_for(&key, call)?;
        let after = kept.mark;
        kept.absorb(&Event { at, kind: Kind::ActivityFinished { call, outcome } });
        kept.is_ahead = true;
        let new = Extent { arrivals: 1, ..Extent::default() };
        let turn = self.step(key, kept, new, String::new()).ok()?;
        Some(Box::new(Ahead { turn: Some(turn), after, at: at.0 }))
    }

    /// Runs code as far as it goes, and keeps it. An error says why it is stuck.
    fn step(
        &mut self,
        key: Key,
        mut kept: Kept,
        new: Extent,
        completion_token: String,
    ) -> Result<OrchestratorResponse, Text> {
        self.watch.entered(&kept.instance);
        let step = kept.execution.step();
        self.watch.left();
        if let Progress::Stuck(why) = step.progress {
            return Err(why);
        }
        self.ran += 1;
        kept.mark = self.marks.hash_one(self.ran).max(1);
        kept.extent = kept.extent.after(new, step.actions.len());
        step.actions.iter().for_each(|kind| kept.note(kind));
        let waits = matches!(step.progress, Progress::Waiting);
        let taken = Taken { takes: None, step, mark: Some(Mark(kept.mark)) };
        let response = taken_out(&kept.instance, kept.id, completion_token, &taken);
        if waits {
            self.shelf.put(key, kept);
        }
        response.ok_or_else(|| "a turn that is stuck has no response".into())
    }
}

impl Kept {
    /// Remembers what is to be known of a call when its answer comes.
    fn note(&mut self, action: &Kind) {
        match action {
            Kind::ActivityScheduled { call, .. } => drop(self.open.insert(*call)),
            Kind::CallCancelled { call } => drop(self.open.remove(call)),
            kind if is_answered_by_name(kind) => {
                self.calls.push(Event { at: Timestamp(0), kind: kind.clone() });
            }
            _ => {}
        }
    }

    fn absorb(&mut self, event: &Event) {
        self.execution.absorb(self.position, event);
        self.position += 1;
        if let Kind::ActivityFinished { call, .. } = &event.kind {
            self.open.remove(call);
        }
    }
}

/// Code that was kept takes what is new.
fn go_on(mut kept: Kept, request: OrchestratorRequest) -> Result<Kept, InvalidMessage> {
    for event in news_in(&kept.calls, request.new_events)? {
        kept.absorb(&event);
    }
    Ok(kept)
}

/// Code begins, and takes the whole history; `None` when it is not here.
fn begin(
    functions: &dyn Functions,
    request: OrchestratorRequest,
) -> Result<Option<Kept>, InvalidMessage> {
    let request = Some(Request::OrchestratorRequest(request));
    let item = WorkItem { request, ..WorkItem::default() };
    let Some(given) = work_item_in(item)? else { return Ok(None) };
    let Job::Turn(turn) = given.job else { return Ok(None) };
    let Turn { name, version, history, .. } = *turn;
    let Some(code) = functions.orchestration(&name, version.as_deref()) else { return Ok(None) };
    let events = || history.iter().flat_map(|piece| piece.iter());
    let started = events().find_map(|event| match &event.kind {
        Kind::Started(started) => Some((started, event.at)),
        _ => None,
    });
    let Some((started, at)) = started else { return Ok(None) };
    let (instance, id) = (given.instance, started.execution);
    let mut execution = Execution::begin(code, instance.clone(), started, at);
    let ran = |event: &Event| matches!(event.kind, Kind::TurnStarted { .. });
    let turns = (0..).zip(events()).filter(|(_, event)| ran(event));
    execution.replay_until(turns.last().map_or(0, |(position, _)| position));
    let mut kept = Kept {
        instance,
        id,
        execution,
        extent: Extent::default(),
        position: 0,
        calls: Vec::new(),
        open: BTreeSet::new(),
        mark: 0,
        is_ahead: false,
    };
    for event in events() {
        kept.absorb(event);
        kept.note(&event.kind);
    }
    Ok(Some(kept))
}

fn wrong(error: &InvalidMessage) -> Text {
    format!("the worker cannot read what the server sent: {error}").into()
}
