//! What nodes do for clients in many steps: a purge with children, a clean-up of entities.
//!
//! The code is the engine's. Its questions are asked like those of clients, its looks are made by
//! the store, and it ends with its node: whoever wanted it asks again.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use taskhub_core::{
    Answer, Event, InstanceId, Refusal, Verb, codec,
    store::{Filter, Store, StoreError},
};
use taskhub_engine::{EntityPage, chores};

use crate::{
    client::named,
    law::{Violation, purges::Purge},
    node::{Asked, Life},
    scenario::{Act, Operation},
    store::SimStore,
    world::{Happening, World},
};

/// All that nodes are busy with.
#[derive(Default)]
pub(crate) struct Chores {
    open: BTreeMap<u64, Chore>,
    count: u64,
    /// Which operations of the scenario are questions of a chore, and which of them.
    asks: BTreeMap<usize, (u64, u64)>,
}

struct Chore {
    life: Life,
    operation: usize,
    attempt: u32,
    desk: Arc<Desk>,
    work: Pin<Box<dyn Future<Output = Result<(), Answer>>>>,
    purge: Option<Purge>,
}

/// Where the engine's code leaves what it wants to know, and finds it.
#[derive(Default)]
pub(crate) struct Desk(Mutex<Papers>);

#[derive(Default)]
struct Papers {
    count: u64,
    wanted: Vec<(u64, Wanted)>,
    given: BTreeMap<u64, Given>,
    wakers: BTreeMap<u64, Waker>,
}

/// What the engine's code wants to know.
#[derive(Debug)]
pub(crate) enum Wanted {
    Ask(InstanceId, Verb),
    History(InstanceId),
    Entities(Filter),
}

enum Given {
    Answer(Answer),
    History(Result<Option<Vec<Event>>, StoreError>),
    Entities(Result<EntityPage, StoreError>),
}

impl Chores {
    /// The chore that asked this operation of the scenario, if one did.
    pub(crate) fn asked(&self, operation: usize) -> Option<u64> {
        self.asks.get(&operation).map(|(chore, _)| *chore)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}

impl Desk {
    fn papers(&self) -> MutexGuard<'_, Papers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn want(&self, wanted: Wanted) -> Given {
        let number = {
            let mut papers = self.papers();
            papers.count += 1;
            let number = papers.count;
            papers.wanted.push((number, wanted));
            number
        };
        poll_fn(|cx| {
            let mut papers = self.papers();
            if let Some(given) = papers.given.remove(&number) {
                return Poll::Ready(given);
            }
            papers.wakers.insert(number, cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    fn give(&self, number: u64, given: Given) {
        let mut papers = self.papers();
        papers.given.insert(number, given);
        if let Some(waker) = papers.wakers.remove(&number) {
            waker.wake();
        }
    }
}

fn confused() -> StoreError {
    StoreError::Damaged("another thing was wanted".to_owned())
}

impl chores::Asked for Desk {
    async fn ask(&self, instance: InstanceId, verb: Verb) -> Answer {
        match self.want(Wanted::Ask(instance.clone(), verb)).await {
            Given::Answer(answer) => answer,
            _ => Answer::Refused(Refusal::NotFound(instance)),
        }
    }

    async fn history(&self, instance: InstanceId) -> Result<Option<Vec<Event>>, StoreError> {
        match self.want(Wanted::History(instance)).await {
            Given::History(history) => history,
            _ => Err(confused()),
        }
    }

    async fn entities(&self, filter: Filter) -> Result<EntityPage, StoreError> {
        match self.want(Wanted::Entities(filter)).await {
            Given::Entities(page) => page,
            _ => Err(confused()),
        }
    }
}

/// Cleans up page by page, as clients do.
async fn clean(desk: &Desk) -> Result<(), Answer> {
    let mut after = None;
    loop {
        let cleaned = chores::clean_entities(desk, after, 2).await;
        let cleaned = cleaned.map_err(|why| Answer::Refused(Refusal::Lost(why.to_string())))?;
        after = cleaned.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

fn look(store: &SimStore, wanted: Wanted) -> Given {
    let history = |id: &InstanceId| {
        if store.load(id)?.is_none() {
            return Ok(None);
        }
        let events = codec::decode_history(&store.history(id, 0..u64::MAX)?);
        events.map(Some).map_err(|why| StoreError::Damaged(why.to_string()))
    };
    match wanted {
        Wanted::Entities(filter) => Given::Entities(EntityPage::read(store, filter)),
        Wanted::History(id) | Wanted::Ask(id, _) => Given::History(history(&id)),
    }
}

impl World {
    /// Some node begins with what a client wants.
    pub(crate) fn begin_chore(&mut self, operation: usize, attempt: u32) -> Result<(), Violation> {
        let wanted = &self.scenario.operations[operation];
        let (root, cleans) = (wanted.instance.clone(), wanted.act == Act::Clean);
        let node = self.random.index(self.nodes.len());
        let life = self.nodes[node].life;
        if !self.lives(life) {
            self.ask_later(operation, attempt);
            return Ok(());
        }
        let wanted = wanted.act.clone();
        self.coverage.count(named(&wanted));
        self.chores.count += 1;
        let number = self.chores.count;
        let desk = Arc::new(Desk::default());
        let (own, purged) = (desk.clone(), root.clone());
        let work: Pin<Box<dyn Future<Output = _>>> = if cleans {
            Box::pin(async move { clean(&own).await })
        } else {
            Box::pin(async move { chores::purge_with_children(&*own, purged).await.map(drop) })
        };
        let purge = (!cleans).then(|| Purge::begin(&root, &self.chronicle));
        let chore = Chore { life, operation, attempt, desk, work, purge };
        self.chores.open.insert(number, chore);
        self.go_on(number)
    }

    /// A chore goes on as far as it can without knowing more.
    fn go_on(&mut self, number: u64) -> Result<(), Violation> {
        let Some(mut chore) = self.chores.open.remove(&number) else { return Ok(()) };
        if !self.lives(chore.life) {
            self.coverage.count("chores that end with their node");
            return self.end_chore(number, &chore, &Err(Answer::Done));
        }
        if let Poll::Ready(end) = chore.work.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        {
            return self.end_chore(number, &chore, &end);
        }
        let wanted = std::mem::take(&mut chore.desk.papers().wanted);
        self.check_purge(number, &chore, false)?;
        self.chores.open.insert(number, chore);
        for (want, wanted) in wanted {
            match wanted {
                Wanted::Ask(id, verb) => {
                    let act = match verb {
                        Verb::Purge => Act::Purge,
                        Verb::Unlock { section } => Act::Unlock(section),
                        _ => Act::Status,
                    };
                    self.chores.asks.insert(self.scenario.operations.len(), (number, want));
                    self.trigger(id, act);
                }
                look => self.soon(2_000, Happening::Show(number, want, Box::new(look))),
            }
        }
        Ok(())
    }

    /// The store shows a chore what it wants to see.
    pub(crate) fn show(&mut self, number: u64, want: u64, wanted: Wanted) -> Result<(), Violation> {
        let Some(chore) = self.chores.open.get(&number) else { return Ok(()) };
        let fails = self.store_fails() || self.random.chance(self.rates.read_fails);
        let down = || StoreError::Unavailable("as the seed wants".to_owned());
        let given = match wanted {
            Wanted::Entities(_) if fails => Given::Entities(Err(down())),
            _ if fails => Given::History(Err(down())),
            wanted => look(&self.store, wanted),
        };
        chore.desk.give(want, given);
        self.go_on(number)
    }

    /// A question of a chore is answered.
    pub(crate) fn chore_hears(&mut self, asked: &Asked, answer: Answer) -> Result<(), Violation> {
        let Some((number, want)) = self.chores.asks.get(&asked.operation).copied() else {
            return Ok(());
        };
        let Some(chore) = self.chores.open.get(&number) else { return Ok(()) };
        // A hub asks again itself, as long as it has hope.
        if let Answer::Refused(why) = &answer
            && why.nothing_happened()
            && self.random.chance(700)
        {
            self.ask_later(asked.operation, asked.attempt);
            return Ok(());
        }
        chore.desk.give(want, Given::Answer(answer));
        self.go_on(number)
    }

    /// A chore is through, or was cut short. Whoever wanted it asks again if that makes sense.
    fn end_chore(
        &mut self,
        number: u64,
        chore: &Chore,
        end: &Result<(), Answer>,
    ) -> Result<(), Violation> {
        let again = match end {
            Ok(()) => false,
            Err(Answer::Refused(why)) => why.nothing_happened() || matches!(why, Refusal::Lost(_)),
            Err(_) => true,
        };
        let (now, numbers) = (self.now, [11, number, u64::from(end.is_ok())]);
        self.trace.note(now, &numbers, || format!("chore {number} ends: {end:?}"));
        let what = if end.is_ok() { "chores that are done" } else { "chores that are cut short" };
        self.coverage.count(what);
        self.check_purge(number, chore, end.is_ok())?;
        if again {
            self.ask_later(chore.operation, chore.attempt);
        }
        Ok(())
    }

    fn check_purge(&mut self, number: u64, chore: &Chore, is_done: bool) -> Result<(), Violation> {
        let Some(purge) = &chore.purge else { return Ok(()) };
        let operations = self.scenario.operations.iter().enumerate();
        let purges = operations.filter(|(_, it)| it.act == Act::Purge);
        let (own, others): (Vec<_>, Vec<_>) =
            purges.partition(|(at, _)| self.chores.asked(*at) == Some(number));
        let ids = |all: Vec<(usize, &Operation)>| {
            all.into_iter().map(|(_, it)| it.instance.clone()).collect()
        };
        let others = ids(others);
        purge.goes_on(&others, &self.chronicle)?;
        if is_done {
            purge.is_done(&ids(own), &others, &self.chronicle)?;
        }
        self.coverage.check(5, 1);
        Ok(())
    }
}
