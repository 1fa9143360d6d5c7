//! Turns of orchestrations that a server handed out, on threads of their own.
//!
//! Code of orchestrations cannot move between threads, and must not find a runtime to do I/O on. So
//! an instance always comes to the same plain thread, which runs it by the core's own executor.

use std::{
    hash::{BuildHasher as _, RandomState},
    io,
    sync::{Arc, mpsc},
    thread,
};

use taskhub_core::{
    Event, Job, Kind, Taken, Text, Turn,
    turn::{Execution, Functions, Progress},
};
use taskhub_engine::{Watch, watch};
use taskhub_wire::{
    Extent, InvalidMessage, is_answered_by_name, news_in,
    proto::{OrchestratorRequest, OrchestratorResponse, WorkItem, work_item::Request},
    taken_out, work_item_in,
};
use tokio::sync::oneshot;

use super::kept::{Kept, Shelf};

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

struct Ask {
    request: OrchestratorRequest,
    token: String,
    then: Then,
}

/// What is to be done with what came of a turn, on the thread that ran it.
type Then = Box<dyn FnOnce(Came) + Send>;

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
                let shelf = Shelf::new(bytes_max / count);
                let mut thread = Thread { functions, shelf, watch };
                while let Ok(Ask { request, token, then }) = asks.recv() {
                    let came = thread.run(request, token);
                    then(came.unwrap_or_else(|error| Came::Stuck(wrong(&error))));
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
        let hash = self.hasher.hash_one(&request.instance_id);
        let index = usize::try_from(hash % self.threads.len() as u64).unwrap_or_default();
        let _ = self.threads[index].send(Ask { request, token, then: Box::new(then) });
    }
}

struct Thread {
    functions: Arc<dyn Functions>,
    shelf: Shelf,
    watch: Arc<Watch>,
}

impl Thread {
    fn run(
        &mut self,
        request: OrchestratorRequest,
        completion_token: String,
    ) -> Result<Came, InvalidMessage> {
        let key = (request.instance_id.clone(), request.execution_id.clone());
        let left_out = request.left_out.filter(|_| request.requires_history_streaming);
        let past = left_out.map_or_else(|| Extent::of(&request.past_events), Extent::told);
        let new = Extent::of(&request.new_events);
        let found = match self.shelf.take(&key, past) {
            Some(kept) => Some(go_on(kept, request)?),
            None if left_out.is_some() => return Ok(Came::Missed(Box::new(request))),
            None => begin(&*self.functions, request)?,
        };
        let Some(mut kept) = found else { return Ok(Came::Absent) };
        self.watch.entered(&kept.instance);
        let step = kept.execution.step();
        self.watch.left();
        if let Progress::Stuck(why) = &step.progress {
            return Ok(Came::Stuck(why.clone()));
        }
        kept.extent = past.after(new, step.actions.len());
        kept.note(&step.actions);
        let waits = matches!(step.progress, Progress::Waiting);
        let taken = Taken { takes: None, step };
        let response = taken_out(&kept.instance, kept.id, completion_token, &taken);
        if waits {
            self.shelf.put(key, kept);
        }
        // Only what is stuck has no response.
        Ok(response.map_or(Came::Absent, |response| Came::To(Box::new(response))))
    }
}

impl Kept {
    /// Remembers the calls whose answers name them.
    fn note(&mut self, actions: &[Kind]) {
        let named = actions.iter().filter(|kind| is_answered_by_name(kind)).cloned();
        self.calls.extend(named.map(|kind| Event { at: taskhub_core::Timestamp(0), kind }));
    }

    fn absorb(&mut self, event: &Event) {
        self.execution.absorb(self.position, event);
        self.position += 1;
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
    let extent = Extent::default();
    let mut kept = Kept { instance, id, execution, extent, position: 0, calls: Vec::new() };
    for event in events() {
        kept.absorb(event);
        kept.note(std::slice::from_ref(&event.kind));
    }
    Ok(Some(kept))
}

fn wrong(error: &InvalidMessage) -> Text {
    format!("the worker cannot read what the server sent: {error}").into()
}
