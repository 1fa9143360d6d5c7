//! Opening hubs: by many at once, with few rights, and where it cannot be.

use std::{sync::Barrier, thread, time::Duration};

use taskhub_core::store::{CommitError, Store as _, StoreError};
use taskhub_postgres::{OpenError, PostgresOptions, testing::ServerOptions};
use taskhub_sim::conformance::hub::{TTL, append, instance, node, partition};

use crate::{
    rival::Rival,
    scene::{Scene, database, fresh, options, server},
};

/// Nodes that start at the same time on an empty database make the tables once.
#[test]
fn many_may_open_a_new_database_at_once() {
    let url = database("crowded", "");
    let barrier = Barrier::new(8);
    thread::scope(|scope| {
        for number in 0..8 {
            let (url, barrier) = (&url, &barrier);
            scope.spawn(move || {
                let hub = format!("hub{}", number % 3);
                barrier.wait();
                let store = options(url, &hub).partitions(8).open().expect("the others wait");
                assert_eq!(store.partitions(), 8);
            });
        }
    });
    let store = options(&url, "hub0").partitions(16).open().expect("it is there");
    assert_eq!(store.partitions(), 8, "a hub keeps its number");
}

/// An index over all instances is built for longer than any answer may take.
#[test]
fn who_waits_for_the_tables_waits_as_long_as_it_takes() {
    let url = &database("slow", "");
    let rival = Rival::with("slow", "SELECT pg_advisory_xact_lock(1416850248)");
    thread::scope(|scope| {
        let impatient = options(url, "default").patience(Duration::from_millis(500));
        let opening = scope.spawn(|| impatient.open());
        rival.holds_up(1, Duration::from_secs(1));
        drop(rival);
        opening.join().expect("it does not panic").expect("it waits");
    });
}

/// What an administrator sets for a role, for people who use the database with it, is no reason to
/// fail.
#[test]
fn settings_of_a_role_do_no_harm() {
    let url = database("strict", "");
    let role = "CREATE ROLE strict LOGIN SUPERUSER; ALTER ROLE strict SET search_path = nowhere; \
        ALTER ROLE strict SET statement_timeout = '300ms'; \
        ALTER ROLE strict SET lock_timeout = '100ms'; \
        ALTER ROLE strict SET default_transaction_isolation = serializable; \
        ALTER ROLE strict SET timezone = 'Asia/Kathmandu'; \
        ALTER ROLE strict SET standard_conforming_strings = off";
    server().psql(role).expect("psql works");
    let scene = Scene::open(options(&url.replace("postgres@", "strict@"), "it's \"one\\"));
    scene.step(0).expect("it is new");
    let rival = Rival::with("strict", "SELECT FROM taskhub.instance FOR UPDATE");
    thread::scope(|scope| {
        let writing = scope.spawn(|| scene.step(1));
        rival.holds_up(1, Duration::from_millis(500));
        rival.commit();
        writing.join().expect("it does not panic").expect("it waits for the lock");
    });
    assert_eq!(scene.steps(), [2, 2, 2]);
}

/// The role that runs needs no right to change the tables, the one that made them does.
#[test]
fn a_node_runs_with_few_rights() {
    let url = database("careful", "");
    options(&url, "default").open().expect("the owner may make the tables");
    let grants = include_str!("../../src/grants.sql").replace("ROLE", "runner");
    server().psql("CREATE ROLE runner LOGIN").expect("psql works");
    server().psql_in("careful", &grants).expect("psql works");
    let (url, hub) = (url.replace("postgres@", "runner@"), fresh());
    let scene = Scene::open(options(&url, &hub));
    scene.store.commit(&scene.batch([append("a", 0..2)])).expect("it may write");
    scene.store.commit(&scene.batch([append("a", 2..3)])).expect("it may write");
    assert!(scene.store.load(&instance("a")).expect("it may read").is_some());
    let shared = scene.store.shared().expect("it is");
    assert_eq!(shared.heartbeat(&node("a"), TTL).map(|nodes| nodes.len()), Ok(1));
    shared.listen().expect("it may listen");
    shared.hint(&[partition("a")]).expect("it may give hints");
    shared.depart(&node("a")).expect("it may depart");
    let postgres = PostgresOptions::new(&url).connect().expect("it may look");
    postgres.delete(&hub).expect("it may delete hubs");
    assert_eq!(postgres.hubs().expect("it may look"), ["default"]);
    let dropped = server().psql_in("careful", "SET ROLE runner; DROP TABLE taskhub.instance");
    assert!(dropped.is_err());
    // Tables of an earlier version it may not change, and says who must.
    server().psql_in("careful", "UPDATE taskhub.schema_version SET version = 2").unwrap();
    let Err(error) = options(&url, "default").open() else { panic!("it changed the tables") };
    assert!(error.to_string().contains("may create tables open the hub once"), "{error}");
}

/// Without any rights, one is told which are missing.
#[test]
fn who_may_nothing_is_told_so() {
    let url = database("closed", "");
    server().psql("CREATE ROLE stranger LOGIN").expect("psql works");
    let opened = options(&url.replace("postgres@", "stranger@"), "default").open();
    assert!(matches!(opened, Err(OpenError::Refused(_))), "{opened:?}");
}

/// Who is not known, or has no password, is told what an address must have.
#[test]
fn who_is_not_let_in_is_told_what_to_do() {
    let server = ServerOptions::default().as_installed().start().expect("PostgreSQL is installed");
    for url in [server.tcp_url(), server.url().replace("postgres@", "nobody-here@")] {
        let Err(error) = options(&url, "default").open() else { panic!("{url}") };
        assert!(matches!(error, OpenError::Barred(_)), "{url}: {error:?}");
        assert!(error.to_string().contains("USER:PASSWORD@HOST"), "{error}");
    }
}

/// A database of a later version, and one that cannot keep every text, are left alone.
#[test]
fn a_database_that_cannot_be_used_is_left_alone() {
    let url = database("later", "");
    options(&url, "default").open().expect("it is empty");
    server().psql_in("later", "UPDATE taskhub.schema_version SET version = 99").unwrap();
    let opened = options(&url, "default").open();
    assert_eq!(opened.err(), Some(OpenError::Newer { found: 99, known: 3 }));
    let url = database("ascii", "ENCODING 'SQL_ASCII' TEMPLATE template0");
    let opened = options(&url, "default").open();
    assert_eq!(opened.err(), Some(OpenError::Encoding("SQL_ASCII".to_owned())));
}

/// A list of what runs looks at nothing that has ended.
#[test]
fn what_runs_is_listed_by_an_index_of_its_own() {
    options(&database("running", ""), "default").open().expect("it is empty");
    let list = "SET enable_seqscan = off; EXPLAIN SELECT * FROM taskhub.instance AS i \
        WHERE i.hub = 1 AND i.completed_at IS NULL AND (i.id < '@' OR i.id >= 'A') \
        ORDER BY i.created_at, i.id";
    let plan = server().psql_in("running", list).expect("psql works");
    assert!(plan.contains("Index Scan using instance_live"), "{plan}");
}

/// No server, no database, no such number of partitions.
#[test]
fn what_cannot_be_opened_is_refused_with_a_reason() {
    let closed = "postgres://me@127.0.0.1:1/none";
    assert!(matches!(options(closed, "x").open(), Err(OpenError::Unreachable(_))));
    let url = format!("{}_that_is_not_there", server().url());
    let Err(OpenError::Unreachable(why)) = options(&url, "x").open() else { panic!("it is not") };
    assert!(why.contains("does not exist"), "{why}");
    for wrong in [0, 4_097] {
        let opened = options(&server().url(), "x").partitions(wrong).open();
        assert_eq!(opened.err(), Some(OpenError::Partitions(wrong)));
    }
}

/// Hubs of one database do not see each other, though their instances have the same ids.
#[test]
fn hubs_of_one_database_are_apart() {
    let (one, two) = (fresh(), fresh());
    let one = Scene::open(options(&server().url(), &one));
    let two = Scene::open(options(&server().url(), &two));
    one.step(0).expect("it is new");
    assert_eq!((one.steps(), two.steps()), ([1, 1, 1], [0, 0, 0]));
    two.step(0).expect("it is new here too");
    two.step(1).expect("it goes on");
    assert_eq!((one.steps(), two.steps()), ([1, 1, 1], [2, 2, 2]));
}

/// A hub that is deleted is gone, with all that is in it and for those who have it open.
#[test]
fn a_deleted_hub_is_gone() {
    let url = database("shrinking", "");
    let postgres = PostgresOptions::new(&url).connect().expect("the server runs");
    let kept = Scene::open(options(&url, "kept"));
    let open = Scene::open(options(&url, "gone"));
    kept.step(0).expect("it is new");
    open.step(0).expect("it is new");
    assert_eq!(postgres.hubs().expect("the server runs"), ["gone", "kept"]);
    postgres.delete("gone").expect("it is there");
    postgres.delete("unknown").expect("nothing is to be done");
    assert!(matches!(open.step(1), Err(CommitError::Fenced(_))));
    let shared = open.store.shared().expect("it is");
    assert_eq!(shared.heartbeat(&node("a"), TTL), Err(StoreError::Deleted));
    assert_eq!(postgres.hubs().expect("the server runs"), ["kept"]);
    let rows = "SELECT (SELECT count(*) FROM taskhub.instance) \
        + (SELECT count(*) FROM taskhub.history) + (SELECT count(*) FROM taskhub.message) \
        + (SELECT count(*) FROM taskhub.lease) + (SELECT count(*) FROM taskhub.partition) \
        + (SELECT count(*) FROM taskhub.node)";
    let of_one = 2 + 2 + 1 + 4 + 4;
    let rows = server().psql_in("shrinking", rows).expect("psql works");
    assert_eq!(rows, of_one.to_string());
    assert_eq!(kept.steps(), [1, 1, 1]);
    assert_eq!(Scene::open(options(&url, "gone")).steps(), [0, 0, 0], "it is a new one");
}

/// Its deletion was interrupted: it is not opened as a hub that nobody can own anything of.
#[test]
fn a_hub_that_is_half_deleted_is_deleted_and_not_opened() {
    let url = database("half", "");
    Scene::open(options(&url, "default")).step(0).expect("it is new");
    server().psql_in("half", "DELETE FROM taskhub.partition").expect("psql works");
    let Err(error) = options(&url, "default").open() else { panic!("nobody could own it") };
    assert!(error.to_string().contains("delete it once more"), "{error}");
    let postgres = PostgresOptions::new(&url).connect().expect("the server runs");
    postgres.delete("default").expect("it is there");
    assert_eq!(Scene::open(options(&url, "default")).steps(), [0, 0, 0], "it is a new one");
}

/// As docs/postgres.md says, while the hub is in use.
#[test]
fn a_dump_is_restored_elsewhere() {
    let (from, to) = (database("dumped", ""), database("restored", ""));
    let scene = Scene::open(options(&from, "default"));
    scene.step(0).expect("it is new");
    let folder = tempfile::TempDir::new().expect("there is room");
    let file = folder.path().join("hubs.dump");
    let mut dump = server().program("pg_dump");
    let dump = dump.args(["--schema=taskhub", "--format=custom"]).arg("--file").arg(&file);
    assert!(dump.arg("--dbname=dumped").status().expect("pg_dump runs").success());
    scene.step(1).expect("it goes on");
    // Onto a hub of which nothing is to stay.
    Scene::open(options(&to, "default")).step(0).expect("it is new");
    let mut restore = server().program("pg_restore");
    let restore = restore.args(["--clean", "--if-exists", "--dbname=restored"]).arg(&file);
    assert!(restore.status().expect("pg_restore runs").success());
    let mut scene = Scene { store: options(&to, "default").open().unwrap(), owned: scene.owned };
    assert_eq!(scene.steps(), [1, 1, 1]);
    scene.recover().expect("who had it can give it back");
    scene.step(1).expect("it goes on");
    assert_eq!(scene.steps(), [2, 2, 2]);
}

/// Calls may be made where tokio runs: opening a hub is one.
#[tokio::test]
async fn a_store_is_opened_and_used_within_tokio() {
    let scene = Scene::open(options(&server().url(), &fresh()));
    scene.step(0).expect("the server runs");
    assert_eq!(scene.steps(), [1, 1, 1]);
}
