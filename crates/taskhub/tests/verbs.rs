//! What can be asked of an instance, with the engine behind it and nothing stored on disk.

use std::{sync::Arc, time::Duration};

use taskhub::{Client, Registry, RuntimeStatus, WaitError, prelude::*};
use taskhub_engine::{Hub, store::MemoryStore};

const LONG: Duration = Duration::from_secs(10);
const GO: Event<String> = Event::new("go");

#[orchestration]
async fn waits(ctx: Context) -> Result<String> {
    ctx.event(GO).await
}

fn open(registry: Registry) -> Client {
    let registered = registry.build().expect("nothing is missing");
    let store = Arc::new(MemoryStore::new(4));
    let hub = Hub::open(store, registered.code(), taskhub_core::Limits::default())
        .expect("a memory store opens");
    registered.connect(hub)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_the_first_turn_hears_of_it() {
    let hub = open(Registry::new().orchestration(waits));
    let run = hub.start(waits, ()).await.unwrap();
    assert_eq!(run.began(LONG).await.unwrap().status, RuntimeStatus::Running);
    let later = std::time::SystemTime::now() + 100 * LONG;
    let run = hub.start(waits, ()).at(later).await.unwrap();
    let error = run.began(Duration::from_millis(1)).await.unwrap_err();
    assert!(matches!(error, WaitError::Timeout(_)), "{error}");
    hub.hub().expect("it is here").stop().await;
}
