//! More than a server takes at once: it says so, and nothing of it is there.

use taskhub_core::{
    Text,
    store::{CommitError, Store as _, StoreError},
};
use taskhub_sim::conformance::hub::{ended, instance, keep, running};

use crate::scene::{Scene, database, fresh, options, refuse_instances, server};

fn is_too_large(done: &Result<(), CommitError>) -> bool {
    matches!(done, Err(CommitError::Store(StoreError::TooLarge(_))))
}

/// A server closes the connection on a message of a gigabyte, which looks as if it was away.
#[test]
fn a_batch_that_no_server_takes_is_not_sent() {
    let scene = Scene::open(options(&server().url(), &fresh()));
    let text = Text::from("x".repeat(64 << 20));
    let turns = (0..17).map(|number| {
        let record = taskhub_core::Record { outcome: Some(Ok(Some(text.clone()))), ..ended(0) };
        keep(&format!("i{number}"), record)
    });
    let done = scene.store.commit(&scene.batch(turns));
    assert!(is_too_large(&done), "{done:?}");
    assert_eq!(scene.store.load(&instance("i0")), Ok(None));
    scene.step(0).expect("smaller ones go through");
}

/// What servers say where a limit of theirs is lower, or their memory; that they have none left
/// just now may pass.
#[test]
fn what_is_beyond_a_limit_of_the_server_is_told_from_what_may_pass() {
    let scene = Scene::open(options(&database("narrow", ""), "default"));
    let error = "'%', NEW.name USING ERRCODE = substr(NEW.id, 6)";
    refuse_instances("narrow", "NEW.id LIKE 'code %'", error);
    for (code, message, expected) in [
        ("54000", "array size exceeds the maximum allowed (1073741823)", true),
        ("54001", "stack depth limit exceeded", true),
        ("XX000", "invalid memory alloc request size 1073741824", true),
        ("XX000", "cache lookup failed", false),
        ("53200", "out of memory", false),
        ("53300", "too many connections", false),
    ] {
        let record = taskhub_core::Record { name: message.into(), ..running(0) };
        let done = scene.store.commit(&scene.batch([keep(&format!("code {code}"), record)]));
        assert_eq!(is_too_large(&done), expected, "{code}: {done:?}");
        assert!(done.is_err(), "{code}");
    }
    // An index keeps no text of so many bytes, as long as they do not repeat themselves.
    let long: String = (0_u32..9_000).filter_map(|n| char::from_u32(n * 7919 % 0xD000)).collect();
    let done = scene.store.commit(&scene.batch([keep(&long, running(0))]));
    assert!(is_too_large(&done), "{done:?}");
}
