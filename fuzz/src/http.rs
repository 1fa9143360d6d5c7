//! No request to the management API makes it panic, and it never says that this is its own fault.
#![no_main]

use std::{
    cell::RefCell,
    sync::{Arc, LazyLock},
    time::Duration,
};

use axum::{Router, body::Body, http::Request};
use libfuzzer_sys::fuzz_target;
use taskhub_core::Limits;
use taskhub_engine::{Code, Hub, store::MemoryStore};
use taskhub_server::{HubName, Hubs, http::management};
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

/// After so many requests the hub is a new one, so that it does not grow for ever.
const REQUESTS_MAX: u32 = 5_000;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

thread_local! {
    static SERVED: RefCell<(u32, Option<(Router, Hub)>)> = const { RefCell::new((0, None)) };
}

fn open() -> (Router, Hub) {
    let store = Arc::new(MemoryStore::new(4));
    let hub = Hub::open(store, &Code::elsewhere(), Limits::default()).expect("the store is new");
    let hubs = Hubs::with(HubName::parse("Test").expect("a name"), hub.clone());
    (management(hubs), hub)
}

fn routes() -> Router {
    let _within = RUNTIME.enter();
    SERVED.with_borrow_mut(|(served, hub)| {
        *served += 1;
        if *served % REQUESTS_MAX == 0
            && let Some((_, old)) = hub.take()
        {
            RUNTIME.block_on(old.stop());
        }
        hub.get_or_insert_with(open).0.clone()
    })
}

fuzz_target!(|input: (u8, &str, &str, &[u8])| {
    let (method, path, token, body) = input;
    let method = ["GET", "POST", "DELETE"][usize::from(method) % 3];
    let path = format!("/runtime/webhooks/durabletask/{path}");
    let request = Request::builder().method(method).uri(path);
    let request = request.header("content-type", "application/json");
    let request = request.header("x-ms-continuation-token", token);
    let Ok(request) = request.body(Body::from(body.to_vec())) else { return };
    let told = format!("{request:?}");
    let answer = routes().oneshot(request);
    // Some wait for an end that never comes, as clients may.
    let answer = async { tokio::time::timeout(Duration::from_millis(200), answer).await };
    if let Ok(Ok(response)) = RUNTIME.block_on(answer) {
        assert!(response.status() != 500, "{told}");
    }
});
