//! Watches stores in memory and real folders, under a clock that is virtual wherever it can be.

use std::{fs, io::Write, path::PathBuf, sync::Mutex};

use object_store::{ObjectStoreExt, memory::InMemory, path::Path as ObjectPath};
use tokio::time::{advance, timeout, timeout_at};

use super::*;

/// Only a hang is as slow as this.
const DEADLINE: Duration = Duration::from_mins(1);

const INTERVAL: Duration = Duration::from_secs(1);

async fn received(receiver: &mut mpsc::Receiver<Sighting>) -> String {
    let found = timeout(DEADLINE, receiver.recv()).await;
    found.expect("a sighting arrives in time").expect("the watch goes on").path
}

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).unwrap()
}

struct Objects {
    store: Arc<InMemory>,
    received: mpsc::Receiver<Sighting>,
}

impl Objects {
    fn watched() -> Self {
        let store = Arc::new(InMemory::new());
        let watch = Watch::new(BlobStore::objects(store.clone()), pattern("in/{name}.json"));
        Self { store, received: watch.every(INTERVAL).start() }
    }

    async fn put(&self, path: &str, text: &'static str) {
        self.store.put(&ObjectPath::from(path), text.into()).await.unwrap();
    }

    /// What arrives while the virtual clock runs for as long as some scans take.
    async fn arrivals(&mut self) -> Vec<String> {
        let mut paths = Vec::new();
        let end = Instant::now() + INTERVAL * 3;
        while let Ok(found) = timeout_at(end, self.received.recv()).await {
            paths.push(found.unwrap().path);
        }
        paths.sort();
        paths
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_arrives_once_for_each_version() {
    let mut objects = Objects::watched();
    objects.put("in/a.json", "1").await;
    objects.put("in/b.txt", "not wanted").await;
    assert_eq!(objects.arrivals().await, ["in/a.json"]);
    assert_eq!(objects.arrivals().await, [""; 0]);
    objects.put("in/a.json", "2").await;
    objects.put("in/c.json", "1").await;
    assert_eq!(objects.arrivals().await, ["in/a.json", "in/c.json"]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_waits_while_nobody_takes_what_it_finds() {
    let mut objects = Objects::watched();
    let count = SIGHTINGS_WAITING_MAX * 3;
    for number in 0..count {
        objects.put(&format!("in/{number}.json"), "1").await;
    }
    advance(INTERVAL * 10).await;
    assert!(objects.received.len() <= SIGHTINGS_WAITING_MAX);
    assert_eq!(objects.arrivals().await.len(), count);
}

#[tokio::test(start_paused = true)]
async fn a_watch_ends_when_nobody_listens() {
    let objects = Objects::watched();
    let store = objects.store.clone();
    drop(objects);
    // The watch holds one of these until it ends.
    while Arc::strong_count(&store) > 1 {
        tokio::time::sleep(INTERVAL).await;
    }
}

/// A notifier that keeps the way to tell the watch something, and may ask the system as well.
#[derive(Clone, Default)]
struct Told {
    hints: Arc<Mutex<Vec<Hints>>>,
    subscribed: Arc<Notify>,
    system: Option<OperatingSystem>,
}

impl Notifier for Told {
    fn subscribe(
        &self,
        folder: &Path,
        hints: Hints,
    ) -> Result<Subscription, Box<dyn std::error::Error>> {
        let subscription = match &self.system {
            Some(system) => system.subscribe(folder, hints.clone())?,
            None => Box::new(()),
        };
        self.hints.lock().unwrap().push(hints);
        self.subscribed.notify_one();
        Ok(subscription)
    }
}

struct Deaf;

impl Notifier for Deaf {
    fn subscribe(&self, _: &Path, _: Hints) -> Result<Subscription, Box<dyn std::error::Error>> {
        Err("out of watches".into())
    }
}

/// A real folder; what is told of it, and the time, are the test's unless it asks for the system.
struct Files {
    directory: tempfile::TempDir,
    told: Told,
    received: mpsc::Receiver<Sighting>,
}

impl Files {
    async fn watched(interval: Duration, system: Option<OperatingSystem>) -> Self {
        let told = Told { system, ..Told::default() };
        let files = Self::heard_from(interval, Box::new(told.clone()), told);
        files.told.subscribed.notified().await;
        files
    }

    fn heard_from(interval: Duration, notifier: Box<dyn Notifier>, told: Told) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = BlobStore::folder(directory.path()).unwrap();
        let watch = Watch::new(store, pattern("in/{name}")).every(interval);
        let received = watch.heard_from(Some(notifier)).start();
        Self { directory, told, received }
    }

    fn place(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.place(path), text).unwrap();
    }

    fn tell(&self, hint: fn(PathBuf) -> Hint, path: &str) {
        let hints = self.told.hints.lock().unwrap();
        hints.last().unwrap().leave(hint(self.place(path)));
    }

    /// What arrives within some virtual seconds.
    async fn arrivals(&mut self, seconds: u64) -> Vec<String> {
        let mut paths = Vec::new();
        let end = Instant::now() + Duration::from_secs(seconds);
        while let Ok(found) = timeout_at(end, self.received.recv()).await {
            paths.push(found.unwrap().path);
        }
        paths.sort();
        paths
    }
}

#[tokio::test(start_paused = true)]
async fn without_hints_a_file_arrives_when_it_has_settled() {
    let mut files = Files::watched(INTERVAL, None).await;
    files.write("in/a", "half");
    assert_eq!(files.arrivals(1).await, [""; 0]);
    files.write("in/a", "half, and the rest");
    assert_eq!(files.arrivals(2).await, [""; 0]);
    assert_eq!(files.arrivals(3).await, ["in/a"]);
    assert_eq!(files.arrivals(9).await, [""; 0], "once");
}

#[tokio::test(start_paused = true)]
async fn a_hint_brings_a_file_without_waiting() {
    let mut files = Files::watched(DEADLINE * 10, None).await;
    files.write("in/a", "1");
    files.write("in/b.tmp", "1");
    files.tell(Hint::Closed, "in/b.tmp");
    files.tell(Hint::Closed, "in/gone");
    files.tell(Hint::Closed, "in");
    let before = Instant::now();
    files.tell(Hint::Closed, "in/a");
    files.tell(Hint::Closed, "in/a");
    assert_eq!(received(&mut files.received).await, "in/a");
    assert_eq!(before.elapsed(), Duration::ZERO);
    assert_eq!(files.arrivals(9).await, [""; 0], "once");
}

#[tokio::test(start_paused = true)]
async fn a_file_that_somebody_has_open_is_awaited() {
    let mut files = Files::watched(INTERVAL, None).await;
    files.write("in/a", "half");
    files.tell(Hint::Grew, "in/a");
    assert_eq!(files.arrivals(30).await, [""; 0]);
    files.tell(Hint::Closed, "in/a");
    assert_eq!(files.arrivals(1).await, ["in/a"]);
}

#[tokio::test(start_paused = true)]
async fn hints_that_were_missed_bring_a_scan() {
    let mut files = Files::watched(INTERVAL, None).await;
    files.write("in/a", "1");
    files.tell(Hint::Grew, "in/a");
    assert_eq!(files.arrivals(5).await, [""; 0]);
    files.told.hints.lock().unwrap()[0].missed();
    assert_eq!(files.arrivals(5).await, ["in/a"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_heard_before_something_was_missed_holds_nothing_up() {
    let mut files = Files::watched(INTERVAL, None).await;
    files.write("in/a", "1");
    // Nothing of this has been taken when the watch learns that it missed something.
    files.told.hints.lock().unwrap()[0].missed();
    for _ in 0..100 {
        files.tell(Hint::Grew, "in/a");
    }
    assert_eq!(files.arrivals(9).await, ["in/a"]);
}

#[tokio::test(start_paused = true)]
async fn a_folder_may_vanish_and_return() {
    let mut files = Files::watched(INTERVAL, None).await;
    files.write("in/a", "1");
    assert_eq!(files.arrivals(5).await, ["in/a"]);
    fs::rename(files.place("in"), files.place("away")).unwrap();
    assert_eq!(files.arrivals(5).await, [""; 0]);
    fs::create_dir(files.place("in")).unwrap();
    files.write("in/b", "1");
    assert_eq!(files.arrivals(5).await, ["in/b"]);
    assert_eq!(files.told.hints.lock().unwrap().len(), 2, "it subscribed to the new folder");
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_cannot_be_made_is_awaited() {
    let mut files = Files::heard_from(INTERVAL, Box::new(Told::default()), Told::default());
    files.write("in", "in the way");
    assert_eq!(files.arrivals(5).await, [""; 0]);
    fs::remove_file(files.place("in")).unwrap();
    fs::create_dir(files.place("in")).unwrap();
    files.write("in/a", "1");
    assert_eq!(files.arrivals(5).await, ["in/a"]);
}

#[tokio::test(start_paused = true)]
async fn scans_go_on_where_there_is_no_notification() {
    let mut files = Files::heard_from(INTERVAL, Box::new(Deaf), Told::default());
    assert_eq!(files.arrivals(1).await, [""; 0]);
    files.write("in/a", "1");
    assert_eq!(files.arrivals(5).await, ["in/a"]);
}

/// The interval is so long that only notification can bring a file.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_system_tells_of_files_that_are_closed_or_moved_into_place() {
    let mut files = Files::watched(DEADLINE * 10, Some(OperatingSystem)).await;
    files.write("in/a", "1");
    assert_eq!(received(&mut files.received).await, "in/a");
    files.write("in/.b", "1");
    fs::rename(files.place("in/.b"), files.place("in/b")).unwrap();
    assert_eq!(received(&mut files.received).await, "in/b");
    let mut open = fs::File::create(files.place("in/c")).unwrap();
    open.write_all(b"half").unwrap();
    files.write("in/a", "another text");
    assert_eq!(received(&mut files.received).await, "in/a", "`c` is still open");
    drop(open);
    assert_eq!(received(&mut files.received).await, "in/c");
}

#[tokio::test]
async fn a_file_that_was_there_before_arrives() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("in")).unwrap();
    let place = directory.path().join("in/a");
    fs::write(&place, "1").unwrap();
    let an_hour_ago = std::time::SystemTime::now() - Duration::from_hours(1);
    fs::File::open(&place).unwrap().set_modified(an_hour_ago).unwrap();
    let store = BlobStore::folder(directory.path()).unwrap();
    let watch = Watch::new(store, pattern("in/{name}")).every(DEADLINE * 10);
    assert_eq!(received(&mut watch.start()).await, "in/a");
}
