//! Clients: each asks for one thing after another, at any node, until it is answered.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::time::sleep;

use crate::{
    chance::Chance,
    http::{self, Answer},
    ledger::{Ledger, Line},
    nodes::Nodes,
};

/// How long a client waits for an answer before it asks again, elsewhere.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long it rests in between.
const REST: Duration = Duration::from_millis(100);

/// How many counters are asked at the same time, and how many operations each of them gets.
const COUNTERS: usize = 4;
const OPERATIONS: usize = 100;

/// What all clients share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub nodes: Arc<Nodes>,
    pub ledger: Ledger,
    pub seed: u64,
    /// Nothing new is asked from then on.
    pub enough: AtomicBool,
    /// What was asked is given up from then on: the test has failed.
    pub giving_up: AtomicBool,
    pub answered: AtomicUsize,
    pub retried: AtomicUsize,
    asked: AtomicUsize,
}

impl Shared {
    pub(crate) fn new(nodes: Arc<Nodes>, ledger: Ledger, seed: u64) -> Arc<Self> {
        Arc::new(Self {
            nodes,
            ledger,
            seed,
            enough: AtomicBool::new(false),
            giving_up: AtomicBool::new(false),
            answered: AtomicUsize::new(0),
            retried: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
        })
    }
}

/// One client, until there is enough.
pub(crate) async fn run(shared: Arc<Shared>, number: u64) {
    let mut chance = Chance::new(shared.seed, 1_000 + number);
    let mut count = 0;
    while !shared.enough.load(Ordering::Relaxed) {
        count += 1;
        let key = format!("{number}-{count}");
        if chance.below(6) == 0 {
            signal(&shared, &mut chance, key).await;
            continue;
        }
        let (orchestration, body) = question(&shared, &mut chance, &key);
        ask(&shared, &mut chance, orchestration, key, body).await;
    }
}

fn question(shared: &Shared, chance: &mut Chance, key: &str) -> (&'static str, String) {
    let (orchestration, body) = match chance.below(5) {
        0 | 1 => ("weather", json!({ "city": key })),
        2 => ("chain", json!({ "count": 1 + chance.below(5), "pause": chance.below(300) })),
        3 => {
            let (called, signalled) = (counter(shared, chance), counter(shared, chance));
            ("count", json!({ "called": called, "signalled": signalled, "operation": key }))
        }
        // Some sleep through a fault.
        _ if chance.below(4) == 0 => ("nap", json!({ "millis": 1_000 + chance.below(6_000) })),
        _ => ("nap", json!({ "millis": chance.below(500) })),
    };
    (orchestration, body.to_string())
}

/// A counter that has not counted much yet.
fn counter(shared: &Shared, chance: &mut Chance) -> String {
    let age = shared.asked.fetch_add(1, Ordering::Relaxed) / (COUNTERS * OPERATIONS);
    format!("{age}-{}", chance.below(COUNTERS))
}

async fn ask(
    shared: &Shared,
    chance: &mut Chance,
    orchestration: &'static str,
    key: String,
    body: String,
) {
    let name = || orchestration.to_owned();
    shared.ledger.note(&Line::Asks { orchestration: name(), key: key.clone(), body: body.clone() });
    let (began, mut tries) = (Instant::now(), 0);
    let answer = loop {
        if shared.giving_up.load(Ordering::Relaxed) {
            return;
        }
        tries += 1;
        let asked = anywhere(shared, chance, orchestration, Some(&key), &body).await;
        match asked {
            Some(answer) if answer.status != 503 => break answer,
            _ => shared.retried.fetch_add(1, Ordering::Relaxed),
        };
        sleep(REST).await;
    };
    let (status, text) = (answer.status, answer.text);
    if status != 200 {
        shared.ledger.note(&Line::Wrong { orchestration: name(), key, status, text });
        return;
    }
    let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let orchestration = name();
    shared.ledger.note(&Line::Answered { orchestration, key: key.clone(), text, millis, tries });
    shared.answered.fetch_add(1, Ordering::Relaxed);
    // Whoever lost the answer asks once more.
    if chance.below(8) == 0
        && let Some(again) = anywhere(shared, chance, &name(), Some(&key), &body).await
        && again.status == 200
    {
        let (orchestration, text) = (name(), again.text);
        shared.ledger.note(&Line::AnsweredAgain { orchestration, key, text });
    }
}

/// Not asked again: without a key nobody would know it from another one.
async fn signal(shared: &Shared, chance: &mut Chance, operation: String) {
    let counter = counter(shared, chance);
    shared.ledger.note(&Line::Signals { counter: counter.clone(), operation: operation.clone() });
    let path = format!("signal/{counter}");
    match anywhere(shared, chance, &path, None, &operation).await {
        Some(answer) if answer.status == 200 => {
            shared.ledger.note(&Line::Signalled { counter, operation });
        }
        _ => sleep(REST).await,
    }
}

/// Asks some node once.
pub(crate) async fn anywhere(
    shared: &Shared,
    chance: &mut Chance,
    path: &str,
    key: Option<&str>,
    body: &str,
) -> Option<Answer> {
    let node = chance.below(shared.nodes.count());
    // A nap may take longer than a client's patience: it is asked for again until it is over.
    http::post(shared.nodes.port(node), &format!("/{path}"), key, body, PATIENCE).await.ok()
}
