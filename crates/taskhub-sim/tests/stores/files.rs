//! What people and other programs may do to a hub's folder, and what they are told.

use std::{
    fs::{self, OpenOptions},
    io::{Seek as _, SeekFrom, Write as _},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use rusqlite::Connection;
use taskhub_core::{
    HistoryChange, Record, RuntimeStatus, Text, Timestamp,
    store::{CommitError, Filter, Store, StoreError},
};
use taskhub_engine::store::{Embedded, EmbeddedOptions, OpenError};
use taskhub_sim::conformance::hub::{
    Hub, TTL, append, ended, hidden, instance, keep, node, purge, running, write,
};
use tempfile::TempDir;

fn folder() -> TempDir {
    TempDir::new().expect("there is room for a folder")
}

fn hub(store: Embedded) -> Hub {
    let owned = store.claim(&node("test"), usize::MAX, TTL).expect("claiming works");
    Hub { store: Arc::new(store), owned }
}

fn sqlite(folder: &Path) -> Connection {
    Connection::open(folder.join("hub.db")).expect("the file is there")
}

/// The file of an empty hub as the first version made it.
fn of_the_first_version(folder: &Path) -> Connection {
    let schema = include_str!("../../../taskhub-engine/src/store/embedded/migrations/0001_hub.sql");
    let file = sqlite(folder);
    file.execute_batch(schema).expect("it is SQL");
    file.execute_batch(
        "WITH RECURSIVE n (id) AS (SELECT 0 UNION ALL SELECT id + 1 FROM n WHERE id < 31)
             INSERT INTO partition (id) SELECT id FROM n;
         PRAGMA application_id = 0x54736B48; PRAGMA user_version = 1",
    )
    .expect("it is SQL");
    file
}

/// A record of an instance of a hub with 32 partitions.
fn placed(mut turn: taskhub_core::TurnRecord) -> taskhub_core::TurnRecord {
    turn.partition = taskhub_core::PartitionId::of(&turn.instance, 32);
    turn
}

#[test]
fn a_folder_that_is_in_use_names_itself_and_its_owner() {
    let folder = folder();
    let first = Embedded::open(folder.path()).unwrap();
    let error = Embedded::open(folder.path()).unwrap_err();
    let process = Some(std::process::id());
    assert_eq!(error, OpenError::InUse { folder: folder.path().into(), process });
    assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");
    drop(first);
    Embedded::open(folder.path()).unwrap();
}

#[test]
fn a_folder_that_cannot_be_is_named() {
    let folder = folder();
    let file = folder.path().join("file");
    fs::write(&file, "not a folder").unwrap();
    let error = Embedded::open(file.join("weather.hub")).unwrap_err();
    assert!(matches!(error, OpenError::Folder { .. }), "{error:?}");
    assert!(error.to_string().contains("weather.hub"), "{error}");
    // A folder in the place of the file.
    fs::create_dir_all(folder.path().join("hub").join("hub.db")).unwrap();
    let error = Embedded::open(folder.path().join("hub")).unwrap_err();
    assert!(matches!(error, OpenError::Folder { .. }), "{error:?}");
}

#[test]
fn folders_are_created_and_hold_what_was_asked_for() {
    let folder = folder();
    let path = folder.path().join("a").join("b");
    for wrong in [0, 4_097] {
        let error = EmbeddedOptions::default().partitions(wrong).open(&path).unwrap_err();
        assert_eq!(error, OpenError::Partitions(wrong));
    }
    let created = EmbeddedOptions::default().partitions(7).open(&path).unwrap();
    assert_eq!((created.partitions(), created.folder()), (7, path.as_path()));
    drop(created);
    // A hub keeps its number.
    assert_eq!(Embedded::open(&path).unwrap().partitions(), 7);
    assert!(!path.join("hub.db-wal").exists(), "closing moves the log into the file");
}

#[test]
fn a_later_schema_is_not_touched() {
    let folder = folder();
    drop(Embedded::open(folder.path()).unwrap());
    sqlite(folder.path()).pragma_update(None, "user_version", 99).unwrap();
    let error = Embedded::open(folder.path()).unwrap_err();
    let expected = OpenError::Newer { folder: folder.path().into(), found: 99, known: 3 };
    assert_eq!(error, expected);
}

/// As the first version wrote it, with what is long in its row.
#[test]
fn a_file_of_the_first_schema_is_opened_with_all_that_it_holds() {
    let folder = folder();
    let long = |letter: &str| Text::from(letter.repeat(100_000));
    let old = of_the_first_version(folder.path());
    let row = "INSERT INTO instance VALUES
        (1, 'a', ?1, 0, 0, NULL, 0, 1, 2, NULL, ?2, 'f', NULL, NULL, NULL, NULL, ?3, ?4)";
    let a = placed(keep("a", running(0)));
    old.execute(row, (a.partition.0, 7_u128.to_be_bytes(), &*long("s"), &*long("o"))).unwrap();
    drop(old);
    let store = hub(Embedded::open(folder.path()).unwrap());
    let record = store.record("a").unwrap();
    assert_eq!(record.custom_status, Some(long("s")));
    assert_eq!(record.outcome, Some(Ok(Some(long("o")))));
    // A turn that shows nothing new moves it away from what each turn writes.
    let later = Record { updated_at: Timestamp(9), ..record };
    store.commit([hidden(placed(keep("a", later.clone())))]);
    assert_eq!(store.record("a"), Some(later));
    let here = "SELECT custom_status IS NULL AND outcome IS NULL FROM instance";
    assert!(sqlite(folder.path()).query_row(here, (), |row| row.get::<_, bool>(0)).unwrap());
    let told = "SELECT length(custom_status) + length(output) FROM instances";
    let told: i64 = sqlite(folder.path()).query_row(told, (), |row| row.get(0)).unwrap();
    assert_eq!(told, 200_000);
}

#[test]
fn a_file_of_another_program_is_not_touched() {
    let folder = folder();
    sqlite(folder.path()).execute_batch("CREATE TABLE song (name TEXT)").unwrap();
    let before = fs::read(folder.path().join("hub.db")).unwrap();
    let error = Embedded::open(folder.path()).unwrap_err();
    assert_eq!(error, OpenError::Foreign { file: folder.path().join("hub.db") });
    assert_eq!(fs::read(folder.path().join("hub.db")).unwrap(), before);
}

#[test]
fn a_file_of_rubbish_is_called_damaged() {
    let folder = folder();
    fs::write(folder.path().join("hub.db"), "rubbish ".repeat(1_000)).unwrap();
    let error = Embedded::open(folder.path()).unwrap_err();
    let damaged = matches!(&error, OpenError::Store { error: StoreError::Damaged(_), .. });
    assert!(damaged, "{error:?}");
}

#[test]
fn a_page_of_rubbish_is_called_damaged_by_whoever_reads_it() {
    let folder = folder();
    let store = hub(Embedded::open(folder.path()).unwrap());
    store.commit((0..3_000).map(|n| placed(append(&format!("i{n}"), 0..9))));
    drop(store);
    let path = folder.path().join("hub.db");
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    let length = file.metadata().unwrap().len();
    // Some pages in the middle; the schema and the partitions lie in front.
    file.seek(SeekFrom::Start(20 * 4_096)).unwrap();
    file.write_all(&vec![0xA5; usize::try_from(length / 2 - 20 * 4_096).unwrap()]).unwrap();
    drop(file);
    let store = Embedded::open(folder.path()).unwrap();
    let mut damaged = 0;
    for n in 0..3_000 {
        match store.load(&instance(&format!("i{n}"))) {
            Err(StoreError::Damaged(_)) => damaged += 1,
            Ok(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(damaged > 0);
}

#[test]
fn a_full_disk_refuses_batches_whole_until_there_is_room() {
    let folder = folder();
    let options = EmbeddedOptions::default().pages_max(300);
    let hub = hub(options.open(folder.path()).unwrap());
    let large = |n: u32| {
        let history = HistoryChange::Append { at: 0, events: Bytes::from(vec![7; 50_000]) };
        let (a, b) = (format!("large{n}"), format!("small{n}"));
        [placed(keep(&b, running(0))), placed(write(&a, running(1), history))]
    };
    let mut kept = 0;
    let refused = loop {
        match hub.try_commit(large(kept)) {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, CommitError::Store(StoreError::Full(_))), "{refused:?}");
    assert!(kept > 5, "{kept}");
    for again in 0..3 {
        let refused = hub.try_commit(large(kept + again)).unwrap_err();
        assert!(matches!(refused, CommitError::Store(StoreError::Full(_))), "{refused:?}");
        assert_eq!(hub.record(&format!("small{}", kept + again)), None, "nothing of it is there");
    }
    assert_eq!(hub.listed(&Filter { limit: 99, ..Filter::default() }).len(), kept as usize * 2);
    hub.commit([placed(purge("large0"))]);
    hub.commit(large(kept));
    assert_eq!(hub.record(&format!("small{kept}")), Some(running(0)));
}

#[test]
fn people_can_read_the_file_while_the_hub_runs() {
    let folder = folder();
    let hub = hub(Embedded::open(folder.path()).unwrap());
    let at = |seconds: i64| Timestamp(1_700_000_000_000_000 + seconds * 1_000_000);
    let record = Record {
        created_at: at(0),
        completed_at: Some(at(1)),
        outcome: Some(Ok(Some("\"rain\"".into()))),
        ..ended(3)
    };
    hub.commit([placed(keep("order-1", record)), placed(keep("order-2", running(0)))]);
    let row: (String, String, String, String) = sqlite(folder.path())
        .query_row(
            "SELECT name, status, completed_at, output FROM instances WHERE id = 'order-1'",
            (),
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
        )
        .unwrap();
    let expected = ["weather", "Completed", "2023-11-14T22:13:21.000Z", "\"rain\""];
    assert_eq!(row, expected.map(String::from).into());
}

#[test]
fn a_list_of_few_among_many_comes_in_short_pages() {
    let folder = folder();
    let hub = hub(Embedded::open(folder.path()).unwrap());
    let many = 25_000;
    hub.commit((0..many).map(|n| {
        let rare = n % (many - 1) == 0;
        let status = if rare { RuntimeStatus::Suspended } else { RuntimeStatus::Running };
        let record = Record { created_at: Timestamp(n), status, ..running(0) };
        placed(keep(&format!("i{n:06}"), record))
    }));
    let statuses = vec![RuntimeStatus::Suspended];
    let rare = Filter { statuses, limit: 100, ..Filter::default() };
    let first = hub.store.query(&rare).unwrap();
    assert!(first.instances.len() == 1 && first.next.is_some(), "nobody waits for the whole list");
    let both = ["i000000".to_string(), format!("i{:06}", many - 1)];
    assert_eq!(hub.listed(&rare), both);
    assert_eq!(hub.listed(&Filter { prefix: Some("i0".into()), ..rare }), both);
}

#[test]
fn the_log_stays_short_under_constant_load() {
    log_stays_short(0);
}

#[test]
fn the_log_stays_short_though_somebody_always_reads() {
    log_stays_short(3);
}

fn log_stays_short(readers: usize) {
    let folder = folder();
    let hub = hub(Embedded::open(folder.path()).expect("it opens"));
    hub.commit((0..2_000).map(|n| placed(keep(&format!("old{n}"), running(0)))));
    let log = folder.path().join("hub.db-wal");
    let (mut longest, done) = (0, AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..readers {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    hub.store
                        .query(&Filter { limit: 2_000, ..Filter::default() })
                        .expect("it can be read");
                }
            });
        }
        for n in 0..300 {
            let history = HistoryChange::Append { at: 0, events: Bytes::from(vec![7; 1 << 20]) };
            hub.commit([placed(write(&format!("i{n}"), running(1), history))]);
            longest = longest.max(fs::metadata(&log).expect("it is there").len());
        }
        done.store(true, Ordering::Relaxed);
    });
    println!("the log grew to {} MB", longest >> 20);
    assert!(longest < 150 << 20, "300 MB were written, the log grew to {} MB", longest >> 20);
}

/// Before version 2 nothing told those that run from those that have ended.
#[test]
fn a_hub_of_the_first_version_opens_and_lists_what_runs() {
    let folder = folder();
    let file = of_the_first_version(folder.path());
    file.execute(
        "INSERT INTO instance (key, id, partition, status, events, busy, created_at, updated_at, \
             execution, name) VALUES (1, 'old', 0, 0, 0, 0, 1, 1, zeroblob(16), 'weather')",
        (),
    )
    .unwrap();
    drop(file);
    let hub = hub(Embedded::open(folder.path()).unwrap());
    hub.commit([placed(keep("new", running(0))), placed(keep("done", ended(0)))]);
    let statuses = vec![RuntimeStatus::Running];
    let mut listed = hub.listed(&Filter { statuses, limit: 9, ..Filter::default() });
    listed.sort();
    assert_eq!(listed, ["new", "old"]);
}
