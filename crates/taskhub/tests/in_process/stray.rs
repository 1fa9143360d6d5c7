//! Timers and network calls that stray into an orchestration under names that the scan cannot see.

use std::time::Duration;

use taskhub::{WaitError, prelude::*, testing::TestHub};
use tokio::{net::TcpStream as Line, time::sleep as nap};

const GO: Event<()> = Event::new("go");
const ADVICE: &str = "an orchestration must not do I/O or use tokio's timers";

#[orchestration]
async fn naps(ctx: Context) -> Result<()> {
    tokio::select! {
        () = nap(Duration::from_secs(1)) => Ok(()),
        went = ctx.event(GO) => went,
    }
}

#[orchestration]
async fn dials(ctx: Context) -> Result<()> {
    tokio::select! {
        line = Line::connect("127.0.0.1:9") => line.map(drop).map_err(Failure::from),
        went = ctx.event(GO) => went,
    }
}

#[tokio::test(start_paused = true)]
async fn a_stray_timer_or_network_call_parks_its_instance_in_that_turn_and_says_why() {
    let hub = TestHub::new();
    let host = hub.open(Host::builder().orchestration(naps).orchestration(dials)).unwrap();
    let client = host.client();
    let runs = [client.start_by_name("naps", &()), client.start_by_name("dials", &())];
    for run in runs {
        let ended = run.await.unwrap().wait(Duration::from_mins(1)).await;
        let Err(WaitError::Parked(why)) = ended else { panic!("{ended:?}") };
        assert!(why.contains(ADVICE), "{why}");
    }
    host.stop().await;
}

#[tokio::test]
#[should_panic(expected = "an orchestration must not do I/O or use tokio's timers")]
async fn a_stray_timer_ends_a_unit_test_that_runs_in_a_runtime() {
    Run::of(naps).input(());
}

#[tokio::test]
#[should_panic(expected = "an orchestration must not do I/O or use tokio's timers")]
async fn so_does_a_stray_network_call() {
    Run::of(dials).input(());
}

#[test]
#[should_panic(expected = "an orchestration must not do I/O or use tokio's timers")]
fn and_in_one_that_does_not() {
    Run::of(naps).input(());
}
