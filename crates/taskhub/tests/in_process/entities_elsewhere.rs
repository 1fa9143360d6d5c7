//! Entities in another program, beside those of this one: each is asked where it lives.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use taskhub::{External, prelude::*};
use taskhub_core::{Done, Job, Performed};
use taskhub_engine::{Told, Worker, WorkerOptions};

/// Only a hang can reach it.
const LONG: Duration = Duration::from_mins(1);
/// Lives in the other program.
const ADD: External<u64, u64, handle::Operation> = External::operation("Add");

#[derive(Default, Serialize, Deserialize)]
struct Here {
    sum: u64,
}

#[entity]
impl Here {
    async fn add(&mut self, amount: u64) -> Result<u64> {
        self.sum += amount;
        Ok(self.sum)
    }
}

#[orchestration]
async fn adds(ctx: Context, amount: u64) -> Result<(u64, u64)> {
    let here = ctx.entity::<Here>("a").call(Here::add, amount);
    let there = ctx.entity_by_name("There", "a").call(ADD, amount);
    futures::try_join!(here, there)
}

/// Answers each operation with a hundred, and notes what it was asked for.
async fn answer(hub: &taskhub_engine::Hub, mut worker: Worker) -> Vec<String> {
    let Some(Told::Do(delivery)) = worker.next().await else { panic!("the hub lives") };
    let Job::Operations(asked) = &delivery.task.job else { panic!("{delivery:?}") };
    let outcomes = asked.requested.iter().map(|_| Ok(Some("100".into()))).collect();
    let performed = Performed { outcomes, state: Some("{}".into()), ..Performed::default() };
    let entity = delivery.task.ticket.instance.to_string();
    let names = asked.requested.iter().map(|it| format!("{entity} {}", it.operation.name));
    hub.finish(delivery.id, Done::Operations(Box::new(performed))).await;
    names.collect()
}

#[tokio::test]
async fn each_entity_is_asked_where_it_lives() {
    let store = taskhub::MemoryStore::new(2);
    let host = Host::builder().store(store).entity::<Here>().orchestration(adds).workers();
    let host = host.build().expect("nothing is missing");
    let hub = host.client().hub().expect("it is here").clone();
    let worker = hub.connect_worker(WorkerOptions::default());
    let run = host.client().start(adds, 5).await.expect("accepted");
    let (given, asked) = tokio::join!(run.wait(LONG), answer(&hub, worker));
    assert_eq!(given, Ok((5, 100)));
    assert_eq!(asked, ["@there@a Add"]);
    host.stop().await;
}
