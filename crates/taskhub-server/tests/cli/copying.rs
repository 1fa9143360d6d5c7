//! A hub moves from a folder into a database, and the next server finds it there.

use taskhub_engine::store::Embedded;
use taskhub_postgres::testing::Server as Database;

use crate::program::{Running, taskhub};

/// By one command, while no server runs it.
#[tokio::test]
async fn a_hub_moves_into_a_database() {
    let database = tokio::task::spawn_blocking(Database::start).await.unwrap();
    let database = database.expect("PostgreSQL is installed");
    let (url, folder) = (database.url(), tempfile::tempdir().unwrap());
    let server = Running::with(|config| config.data = folder.path().to_owned()).await;
    server.well(&["start", "weather", "--id", "order-17", "--input", "\"Bonn\""]).await;
    let hub = folder.path().join("default").display().to_string();
    let refused = taskhub(&["copy", &hub, &url]).await;
    assert!(refused.err.contains("in use"), "{}", refused.err);
    server.stop().await;

    let none = taskhub(&["copy", &url, &hub, "--hub", "other"]).await;
    assert_eq!(none.code, 3, "{}", none.err);
    assert!(none.err.contains("there is no hub other in that database"), "{}", none.err);

    let copied = taskhub(&["copy", &hub, &url]).await;
    assert_eq!(copied.out, "copied 1 instances and 0 messages\n", "{}", copied.err);
    let server = Running::with(|config| config.store = Some(url.clone())).await;
    let found = server.json(&["status", "order-17", "--json"]).await;
    assert_eq!(found[0]["instanceId"], "order-17");
    server.stop().await;
    let again = taskhub(&["copy", &hub, &url]).await;
    assert_eq!(again.code, 1, "{}", again.out);
    assert!(again.err.contains("is not empty"), "{}", again.err);
}

/// A slip of the pen makes nothing, on either side.
#[tokio::test]
async fn what_is_no_hub_is_not_copied() {
    let folder = tempfile::tempdir().unwrap();
    let of = |name: &str| folder.path().join(name).display().to_string();
    let (data, typo, to) = (of("data"), of("typo"), of("to"));
    drop(Embedded::open(folder.path().join("data/default")).unwrap());
    let ended = taskhub(&["copy", &typo, &to]).await;
    assert_eq!((ended.code, ended.out.as_str()), (3, ""));
    assert_eq!(ended.err, format!("taskhub: there is no hub in {typo}\n"));
    for (from, to) in [(&data, &to), (&format!("{data}/default"), &data)] {
        let ended = taskhub(&["copy", from, to]).await;
        assert_eq!(ended.code, 3, "{}", ended.err);
        assert!(ended.err.contains(&format!("you mean {data}/default?")), "{}", ended.err);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "that of the hubs alone");
}
