//! Functions of this process on a hub that a server has: what is promised here holds there too.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use crate::serving::Serving;
use serde::{Deserialize, Serialize};
use taskhub::{
    EntityFilter, HostError, HubError, Limits, Remote, RuntimeStatus, StartError, StatusError,
    prelude::*,
};
use tokio::sync::Notify;

/// Only a hang can reach it.
const LONG: Duration = Duration::from_mins(1);
const TICK: Duration = Duration::from_millis(1);
const GO: Event<String> = Event::new("go");
const MORE: Event<bool> = Event::new("more");

/// How often something ran, and what activities wait for.
#[derive(Clone, Default)]
struct Gate {
    entered: Arc<AtomicU32>,
    open: Arc<Notify>,
}

#[activity(retry = Retry::fixed(5, TICK))]
async fn third_time(State(gate): State<Gate>) -> Result<u32> {
    match gate.entered.fetch_add(1, Ordering::Relaxed) + 1 {
        3.. => Ok(3),
        attempt => Err(Failure::new("Flaky", format!("attempt {attempt}"))),
    }
}

#[activity]
async fn text_of(bytes: usize) -> Result<String> {
    Ok("x".repeat(bytes))
}

#[activity]
async fn waits_at(State(gate): State<Gate>, ctx: ActivityContext) -> Result<String> {
    gate.entered.fetch_add(1, Ordering::Relaxed);
    gate.open.notified().await;
    gate.open.notify_one();
    Ok(ctx.call_key())
}

#[orchestration]
async fn leaf(ctx: Context, number: u32) -> Result<u32> {
    ctx.sleep(TICK).await;
    if number == 3 {
        return Err(Failure::new("Three", "not three"));
    }
    Ok(number * 10)
}

/// Children at the same time, one of which fails; then all else that an orchestration can do.
#[orchestration]
async fn everything(ctx: Context, width: u32) -> Result<Vec<String>> {
    let mut said = Vec::new();
    let children = (0..width).map(|number| ctx.call(leaf, number));
    for child in futures::future::join_all(children).await {
        said.push(child.map_or_else(|failure| failure.message().to_owned(), |it| it.to_string()));
    }
    said.push(ctx.call(third_time, ()).await?.to_string());
    let late = ctx.event(GO).timeout(TICK).await;
    said.push(late.unwrap_or_else(|failure| failure.kind().to_owned()));
    ctx.set_custom_status("half way");
    ctx.raise(ctx.instance_id().as_str(), MORE, true)?;
    said.push(ctx.event(MORE).await?.to_string());
    let first = tokio::select! {
        text = ctx.event(GO) => text?,
        () = ctx.sleep(LONG) => "late".to_owned(),
    };
    said.push(first);
    said.push((ctx.uuid() == ctx.uuid()).to_string());
    Ok(said)
}

#[orchestration]
async fn rounds(ctx: Context, count: u32) -> Result<u32> {
    let more = ctx.event(MORE).await?;
    if more { ctx.continue_as_new(rounds, count + 1) } else { Ok(count) }
}

#[orchestration]
async fn adds_up(ctx: Context, sizes: Vec<usize>) -> Result<usize> {
    let mut sum = 0;
    for size in sizes {
        sum += ctx.call(text_of, size).await?.len();
    }
    Ok(sum)
}

#[orchestration]
async fn passes(ctx: Context) -> Result<String> {
    ctx.call(waits_at, ()).await?;
    ctx.event(GO).await
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Purse {
    coins: i64,
}

#[entity]
impl Purse {
    async fn put(&mut self, coins: i64) -> Result<i64> {
        self.coins += coins;
        if self.coins < 0 {
            return Err(Failure::terminal("it is empty"));
        }
        Ok(self.coins)
    }
}

/// Moves a coin while nobody else can look.
#[orchestration]
async fn moves(ctx: Context, (from, to): (String, String)) -> Result<i64> {
    let (from, to) = (ctx.entity::<Purse>(&from), ctx.entity::<Purse>(&to));
    let section = ctx.lock((&from, &to)).await?;
    from.call(Purse::put, -1).await?;
    let there = to.call(Purse::put, 1).await?;
    drop(section);
    Ok(there)
}

fn host(gate: &Gate) -> HostBuilder {
    Host::builder()
        .orchestration(everything)
        .orchestration(leaf)
        .orchestration(rounds)
        .orchestration(adds_up)
        .orchestration(passes)
        .orchestration(moves)
        .activity(third_time)
        .activity(text_of)
        .activity(waits_at)
        .entity::<Purse>()
        .state(gate.clone())
}

fn connected(server: &Serving, gate: &Gate) -> Host {
    host(gate).connect(server.url()).build().expect("nothing is missing")
}

async fn does_everything(limits: Limits) {
    let server = Serving::start().await;
    let host = host(&Gate::default()).limits(limits).connect(server.url()).build().expect("good");
    let hub = host.client();
    let run = hub.start(everything, 5).id("every/thing".replace('/', "-")).await.expect("started");
    let rounds = hub.start(rounds, 0).await.expect("started");
    for more in [true, true, true, false] {
        rounds.raise(MORE, more).await.expect("it waits");
    }
    assert_eq!(rounds.wait(LONG).await, Ok(3));
    while run.status().await.expect("it is there").custom_status_text().is_none() {
        tokio::time::sleep(TICK).await;
    }
    run.raise(GO, "gone".to_owned()).await.expect("it waits");
    let said = run.wait(LONG).await.expect("it ends");
    let expected =
        ["0", "10", "20", "not three", "40", "3", Failure::TIMEOUT, "true", "gone", "false"];
    assert_eq!(said, expected);
    // Whole histories are fetched apart once they have more than 1 MiB.
    let sizes = vec![300_000; 6];
    let sum = hub.start(adds_up, sizes).await.expect("started").wait(LONG).await;
    assert_eq!(sum, Ok(1_800_000));
    host.stop().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orchestrations_can_do_everything_over_the_wire() {
    does_everything(Limits::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_is_not_kept_between_turns_is_replayed() {
    does_everything(Limits { cache_bytes_max: 0, ..Limits::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entities_are_called_locked_and_looked_at_over_the_wire() {
    let server = Serving::start().await;
    let host = connected(&server, &Gate::default());
    let hub = host.client();
    let purse = hub.entity::<Purse>("a");
    assert_eq!(purse.state().await, Ok(None));
    purse.signal(Purse::put, 2).await.expect("accepted");
    let args = || ("a".to_owned(), "b".to_owned());
    for coins in 1..=2 {
        let there = hub.start(moves, args()).await.expect("started").wait(LONG).await;
        assert_eq!(there, Ok(coins));
    }
    let failed = hub.start(moves, args()).await.expect("started").wait(LONG).await;
    assert!(failed.expect_err("no coin is left").to_string().contains("it is empty"));
    assert_eq!(purse.state().await, Ok(Some(Purse { coins: 0 })));
    let page = hub.entities(EntityFilter::new().of::<Purse>().limit(1)).await.expect("a page");
    let rest = hub.entities(page.next.expect("there is more")).await.expect("a page");
    let found: Vec<_> =
        page.entities.iter().chain(&rest.entities).map(taskhub::EntityStatus::key).collect();
    assert_eq!(found, ["a", "b"]);
    hub.clean_entities().await.expect("there is nothing to do");
    host.stop().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_restarts_loses_nothing_that_is_under_way() {
    let server = Serving::start().await;
    let gate = Gate::default();
    let host = connected(&server, &gate);
    let hub = host.client();
    let mut runs = Vec::new();
    for number in 0..20 {
        runs.push(hub.start(passes, ()).id(format!("run-{number}")).await.expect("started"));
    }
    while gate.entered.load(Ordering::Relaxed) < 20 {
        tokio::time::sleep(TICK).await;
    }
    let waits: Vec<_> =
        runs.iter().cloned().map(|run| tokio::spawn(async move { run.wait(LONG).await })).collect();
    // Activities end while nobody takes their results: the server asks for them again.
    let stopped = server.stop().await;
    gate.open.notify_one();
    let error = runs[0].status().await.expect_err("nobody answers");
    assert!(matches!(&error, StatusError::Hub(error) if error.is_transient()), "{error}");
    let server = stopped.again().await;
    for run in &runs {
        while run.raise(GO, "now".to_owned()).await.is_err() {
            tokio::time::sleep(TICK).await;
        }
    }
    for wait in waits {
        assert_eq!(wait.await.expect("no panic"), Ok("now".to_owned()));
    }
    host.stop().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_worker_takes_over_what_one_leaves() {
    let server = Serving::start().await;
    let (closed, open) = (Gate::default(), Gate::default());
    open.open.notify_one();
    let first = connected(&server, &closed);
    let runs = [first.client().start(passes, ()).await, first.client().start(passes, ()).await];
    let runs = runs.map(|run| run.expect("started").id().expect("it has one").to_string());
    while closed.entered.load(Ordering::Relaxed) < 2 {
        tokio::time::sleep(TICK).await;
    }
    // It is gone with all that it had in hand.
    drop(first);
    let second = connected(&server, &open);
    for run in runs {
        let run = second.client().instance(run).of(passes);
        run.raise(GO, "again".to_owned()).await.expect("it waits");
        assert_eq!(run.wait(LONG).await, Ok("again".to_owned()));
    }
    assert_eq!(open.entered.load(Ordering::Relaxed), 2);
    second.stop().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stops_finishes_what_it_has_in_hand() {
    let server = Serving::start().await;
    let gate = Gate::default();
    let host = connected(&server, &gate);
    let run = host.client().start(passes, ()).await.expect("started");
    while gate.entered.load(Ordering::Relaxed) == 0 {
        tokio::time::sleep(TICK).await;
    }
    let stopping = tokio::spawn(host.stop());
    gate.open.notify_one();
    stopping.await.expect("no panic");
    let hub = Client::connect(server.url()).expect("an address");
    let history =
        hub.instance(run.id().expect("it has one").as_str()).history().await.expect("it is there");
    let finished = |event: &taskhub_core::Event| {
        matches!(event.kind, taskhub_core::Kind::ActivityFinished { .. })
    };
    assert_eq!(history.iter().filter(|event| finished(event)).count(), 1, "{history:?}");
    server.stop().await;
}

mod mistaken {
    use super::{GO, TICK};
    use taskhub::prelude::*;

    /// Begins with a pause, where the history has a call.
    #[orchestration]
    pub(super) async fn passes(ctx: Context) -> Result<String> {
        ctx.sleep(TICK).await;
        ctx.event(GO).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_whose_code_changed_is_parked_until_it_is_resumed_with_the_right_code() {
    let server = Serving::start().await;
    let gate = Gate::default();
    gate.open.notify_one();
    let right = connected(&server, &gate);
    let run = right.client().start(passes, ()).id("a").await.expect("started");
    while run.history().await.expect("it is there").len() < 5 {
        tokio::time::sleep(TICK).await;
    }
    right.stop().await;

    let wrong = Host::builder().orchestration(mistaken::passes).connect(server.url());
    let wrong = wrong.build().expect("nothing is missing");
    let run = wrong.client().instance("a");
    run.raise(GO, "go".to_owned()).await.expect("it waits");
    let why = loop {
        if let Some(why) = run.status().await.expect("it is there").stuck {
            break why;
        }
        tokio::time::sleep(TICK).await;
    };
    for side in ["history has #0 activity `waits_at`", "the code asked for a timer", "worker.rs:"] {
        assert!(why.contains(side), "`{side}` is not named: {why}");
    }
    let stuck = wrong.client().list(Filter::new().stuck()).await.expect("a page");
    assert_eq!(stuck.instances.len(), 1);
    wrong.stop().await;

    let right = connected(&server, &gate);
    let run = right.client().instance("a").of(passes);
    run.resume("the right code is back").await.expect("it is parked");
    assert_eq!(run.wait(LONG).await, Ok("go".to_owned()));
    right.stop().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_told_as_by_a_hub_in_the_process() {
    let limits = |config: &mut taskhub_server::Config| config.limits.payload_bytes = 1_000;
    let server = Serving::with(limits).await;
    let hub = Client::connect(server.url()).expect("an address");
    let large = hub.start(adds_up, vec![1_000_000; 1_000]).id("a").await.expect_err("too large");
    assert!(matches!(large, StartError::TooLarge(_, 8_001, 1_000)), "{large:?}");
    let run = hub.start(passes, ()).id("a").await.expect("started");
    assert_eq!(run.status().await.expect("it is there").status, RuntimeStatus::Pending);
    let exists = hub.start(passes, ()).id("a").await.expect_err("it is there");
    assert!(matches!(exists, StartError::Exists(_, RuntimeStatus::Pending)), "{exists:?}");
    let nobody = hub.instance("nobody");
    let told = tokio::time::timeout(LONG / 4, nobody.ended(LONG)).await;
    let nobody = told.expect("it is told at once");
    assert!(nobody.expect_err("nobody").to_string().contains("there is no instance nobody"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hubs_are_chosen_by_name_and_tokens_let_in() {
    let token = |config: &mut taskhub_server::Config| config.tokens = vec!["sesame".to_owned()];
    let server = Serving::with(token).await;
    let hub = |name: &str, token: &str| {
        Client::connect(Remote::at(server.url()).hub(name).token(token)).expect("an address")
    };
    hub("one", "sesame").start(passes, ()).id("a").await.expect("started");
    let there = |name: &'static str| async move { hub(name, "sesame").list(Filter::new()).await };
    assert_eq!(there("one").await.expect("a page").instances.len(), 1);
    assert_eq!(there("two").await.expect("a page").instances.len(), 0);
    let refused = hub("one", "wrong").instance("a").status().await.expect_err("not let in");
    assert!(matches!(refused, StatusError::Hub(HubError::Refused(_))), "{refused:?}");
    server.stop().await;
}

#[tokio::test]
async fn what_only_the_process_of_a_hub_can_offer_is_refused() {
    let host = Host::builder().connect("http://127.0.0.1:1").workers();
    assert!(matches!(host.build(), Err(HostError::Elsewhere("workers"))));
    let host = Host::builder().connect("127.0.0.1:1");
    assert!(matches!(host.build(), Err(HostError::Remote(_))));
}
