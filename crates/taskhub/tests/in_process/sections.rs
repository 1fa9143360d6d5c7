//! Critical sections are given back whichever way their orchestration leaves them.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use taskhub::{
    Host, HostBuilder, RuntimeStatus,
    prelude::*,
    testing::{TestHub, chaos},
};

const HOUR: Duration = Duration::from_hours(1);
const GO: Event<()> = Event::new("go");

#[derive(Default, Serialize, Deserialize)]
struct Seat {
    taken: bool,
}

#[entity]
impl Seat {
    async fn take(&mut self) -> Result<bool> {
        Ok(std::mem::replace(&mut self.taken, true))
    }
}

/// Locks both seats, and leaves the section in this way.
#[orchestration]
async fn holder(ctx: Context, way: String) -> Result<()> {
    if way == "wait" {
        return ctx.event(GO).await;
    }
    let seats = ["a", "b"].map(|key| ctx.entity::<Seat>(key));
    let section = ctx.lock(seats.each_ref()).await?;
    seats[1].call(Seat::take, ()).await?;
    ctx.set_custom_status("held");
    ctx.event(GO).await?;
    match &*way {
        "drop" => {
            drop(section);
            ctx.event(GO).await?;
        }
        "fail" => return Err(Failure::new("Wanted", "as the test says")),
        "panic" | "panic and terminate" | "panic and purge" => panic!("as the test says"),
        "continue as new" => return ctx.continue_as_new(holder, "wait".to_owned()),
        "forget" => std::mem::forget(section),
        "cancel" => {
            let held = async {
                let _section = section;
                ctx.event(GO).await
            };
            tokio::select! {
                _ = held => {}
                () = ctx.sleep(Duration::from_secs(1)) => {}
            }
            ctx.event(GO).await?;
        }
        _ => {}
    }
    Ok(())
}

/// Wants to have both seats, in the other order.
#[orchestration]
async fn next(ctx: Context) -> Result<bool> {
    let seats = ["b", "a"].map(|key| ctx.entity::<Seat>(key));
    tokio::select! {
        section = ctx.lock(seats.each_ref()) => Ok(section.map(drop).is_ok()),
        () = ctx.sleep(HOUR) => Ok(false),
    }
}

fn host() -> HostBuilder {
    Host::builder().entity::<Seat>().orchestration(holder).orchestration(next)
}

/// Whether somebody else gets the seats after their holder has left in this way.
async fn leaves(test: &TestHub, way: &str) -> bool {
    let host = test.open(host()).expect("it opens");
    let hub = host.client();
    let start = hub.start(holder, way.to_owned()).id("holder");
    let start = if way == "deadline" { start.deadline(hub.now() + HOUR) } else { start };
    let run = start.await.expect("it starts");
    while run.status().await.expect("it is there").custom_status_text().is_none() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    match way {
        "deadline" => tokio::time::sleep(HOUR).await,
        "terminate" => run.terminate("enough").await.expect("it runs"),
        "suspend and terminate" => {
            run.suspend("wait").await.expect("it runs");
            run.terminate("enough").await.expect("it is suspended");
        }
        "panic and terminate" => {
            run.raise(GO, ()).await.expect("it runs");
            run.terminate("enough").await.expect("it is parked");
        }
        "panic and purge" => {
            run.raise(GO, ()).await.expect("it runs");
            run.purge().await.expect("it is parked");
        }
        "replace" => {
            let again =
                hub.start(holder, "wait".to_owned()).id("holder").replace(RuntimeStatus::ALL);
            again.await.expect("it takes the place");
        }
        _ => run.raise(GO, ()).await.expect("it runs"),
    }
    let next = hub.start(next, ()).await.expect("it starts");
    let got = next.wait(2 * HOUR).await.expect("it returns");
    host.stop().await;
    got
}

#[tokio::test(start_paused = true)]
async fn a_section_is_given_back_on_every_way_out() {
    for way in [
        "return",
        "drop",
        "fail",
        "panic and terminate",
        "panic and purge",
        "continue as new",
        "forget",
        "cancel",
        "terminate",
        "suspend and terminate",
        "deadline",
        "replace",
    ] {
        assert!(leaves(&TestHub::new(), way).await, "{way}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_section_stays_with_a_holder_that_is_parked() {
    assert!(!leaves(&TestHub::new(), "panic").await);
}

#[tokio::test(start_paused = true)]
async fn a_section_is_given_back_wherever_the_process_dies() {
    for way in ["panic and terminate", "cancel", "terminate"] {
        assert!(chaos(async |test| leaves(test, way).await).await, "{way}");
    }
}

/// How often somebody ate with it.
#[derive(Default, Serialize, Deserialize)]
struct Fork {
    meals: u32,
}

#[entity]
impl Fork {
    async fn eat(&mut self) -> Result<()> {
        self.meals += 1;
        Ok(())
    }
}

#[orchestration]
async fn diner(ctx: Context, forks: Vec<String>) -> Result<()> {
    let forks: Vec<_> = forks.iter().map(|key| ctx.entity::<Fork>(key)).collect();
    let _all = ctx.lock(&forks).await?;
    for fork in &forks {
        fork.call(Fork::eat, ()).await?;
        ctx.sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn who_locks_the_same_three_in_any_order_gets_them_wherever_the_process_dies() {
    let meals = chaos(async |test| {
        let host = Host::builder().orchestration(diner).entity::<Fork>();
        let host = test.open(host).expect("nothing is missing");
        let hub = host.client();
        let mut diners = Vec::new();
        for keys in [["a", "b", "c"], ["c", "b", "a"], ["b", "c", "a"]] {
            let forks = keys.map(str::to_owned).to_vec();
            diners.push(hub.start(diner, forks).id(keys.concat()).await.expect("it starts"));
        }
        for diner in diners {
            diner.wait(HOUR).await.expect("it eats");
        }
        let mut meals = Vec::new();
        for key in ["a", "b", "c"] {
            let fork = hub.entity::<Fork>(key).state().await.expect("it can be read");
            meals.push(fork.expect("it was used").meals);
        }
        meals
    });
    assert_eq!(meals.await, [3, 3, 3]);
}
