//! Triggers on a whole hub: files that are written and schedules that come due.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use taskhub::{
    Filter, Registry, RuntimeStatus, Status,
    prelude::*,
    trigger::{Blob, BlobStore, Blobs, Occurrence, Schedule, Triggering, Triggers, retry_blob},
};
use taskhub_core::Limits;
use taskhub_engine::{Hub, store::MemoryStore};
use tokio::sync::mpsc;

/// Only a hang is as slow as this.
const DEADLINE: Duration = Duration::from_mins(1);

const REPLY: Event<String> = Event::new("reply");

#[orchestration]
async fn ask(ctx: Context) -> Result<String> {
    ctx.event(REPLY).await
}

async fn reply(blob: Blob, hub: Client, told: State<Told>) -> Result<()> {
    told.tell(format!("{} has {} bytes", blob.name(), blob.size()));
    Ok(hub.instance(blob.stem()).raise(REPLY, blob.text()?).await?)
}

/// Fails for good as long as a file says so.
async fn picky(blob: Blob, told: State<Told>) -> Result<()> {
    if told.refused.exists() {
        return Err(Failure::terminal("not today"));
    }
    told.tell(format!("{} is fine", blob.name()));
    Ok(())
}

async fn tick(occurrence: Occurrence, told: State<Told>) -> Result<()> {
    told.tell(format!("late: {}", occurrence.past_due));
    Ok(())
}

/// Where handlers say what they do.
#[derive(Clone)]
struct Told {
    said: mpsc::UnboundedSender<String>,
    refused: PathBuf,
}

impl Told {
    fn tell(&self, what: String) {
        let _ = self.said.send(what);
    }
}

/// A folder and a store that outlive the hubs which use them.
struct World {
    folder: tempfile::TempDir,
    store: Arc<MemoryStore>,
    told: Told,
    said: mpsc::UnboundedReceiver<String>,
}

struct Node {
    client: Client,
    triggering: Option<Triggering>,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("there is room");
        let (sender, said) = mpsc::unbounded_channel();
        let told = Told { said: sender, refused: folder.path().join("refused") };
        Self { folder, store: Arc::new(MemoryStore::new(4)), told, said }
    }

    fn place(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Writes a blob as a careful writer does, whether or not its folder is there yet.
    fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let (place, draft) = (self.place(path), self.place("draft"));
        fs::create_dir_all(place.parent().unwrap_or(Path::new("/"))).expect("there is room");
        fs::write(&draft, content).expect("there is room");
        fs::rename(draft, place).expect("they are in one place");
    }

    fn node(&self, triggers: Triggers) -> Node {
        let registry = Registry::new().orchestration(ask).state(self.told.clone());
        let store = BlobStore::folder(self.folder.path()).expect("it is absolute");
        let (registry, armed) = triggers.blob_store(store).build(registry).expect("good triggers");
        let registered = registry.build().expect("nothing is missing");
        let hub = Hub::open(self.store.clone(), registered.code(), Limits::default());
        let hub = hub.expect("the store works");
        let client = registered.connect(hub);
        let triggering = Some(armed.start(&client));
        Node { client, triggering }
    }

    async fn said(&mut self) -> String {
        let said = tokio::time::timeout(DEADLINE, self.said.recv()).await;
        said.expect("a handler runs in time").expect("we hold the sender")
    }
}

impl Node {
    /// The only instance with this prefix, once it has this status.
    async fn instance(&self, prefix: &str, status: RuntimeStatus) -> Status {
        let look = async {
            loop {
                let filter = Filter::new().id_prefix(prefix).status(status);
                let mut page = self.client.list(filter).await.expect("the hub works");
                if let Some(status) = page.instances.pop() {
                    assert!(page.instances.is_empty(), "{prefix} is there twice");
                    return status;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(DEADLINE, look).await.expect("it gets there in time")
    }

    async fn stop(mut self) {
        drop(self.triggering.take());
        self.client.hub().expect("it is here").stop().await;
    }
}

fn replies() -> Triggers {
    Triggers::new().blobs("in/{name}", reply)
}

#[tokio::test]
async fn a_file_answers_the_instance_that_it_names() {
    let mut world = World::new();
    let node = world.node(replies());
    let asked = node.client.start(ask, ()).id("17").await.unwrap();
    world.write("in/17.json", "sunny");
    assert_eq!(asked.wait(DEADLINE).await.unwrap(), "sunny");
    assert_eq!(world.said().await, "17.json has 5 bytes");
    let receipt = node.instance("blobs:reply:17.json:", RuntimeStatus::Completed).await;
    assert_eq!(receipt.output_text(), Some("\"done\""));
    assert_eq!(receipt.tags["blob"].as_ref(), "in/17.json");
    node.stop().await;
}

#[tokio::test]
async fn a_purge_of_everything_spares_the_receipts() {
    let mut world = World::new();
    let node = world.node(replies());
    let asked = node.client.start(ask, ()).id("17").await.unwrap();
    world.write("in/17.json", "sunny");
    asked.wait(DEADLINE).await.unwrap();
    world.said().await;
    node.instance("blobs:", RuntimeStatus::Completed).await;
    assert_eq!(node.client.purge_many(Filter::new()).await.unwrap(), 1);
    node.instance("blobs:", RuntimeStatus::Completed).await;
    assert_eq!(node.client.purge_many(Filter::new().id_prefix("blobs:")).await.unwrap(), 1);
    node.stop().await;
}

#[tokio::test]
async fn a_reply_that_comes_too_late_is_ignored() {
    let world = World::new();
    let node = world.node(replies());
    node.client.start(ask, ()).id("17").await.unwrap();
    node.client.instance("17").terminate("nobody waits").await.unwrap();
    world.write("in/17", "sunny");
    let receipt = node.instance("blobs:reply:17:", RuntimeStatus::Completed).await;
    assert_eq!(receipt.output_text(), Some("\"ignored\""));
    node.stop().await;
}

#[tokio::test]
async fn after_a_restart_only_what_is_new_is_handled() {
    let mut world = World::new();
    let triggers = || Triggers::new().blobs("in/{name}", picky);
    let node = world.node(triggers());
    world.write("in/a", "1");
    assert_eq!(world.said().await, "a is fine");
    node.instance("blobs:picky:a:", RuntimeStatus::Completed).await;
    node.stop().await;

    world.write("in/b", "1");
    let node = world.node(triggers());
    assert_eq!(world.said().await, "b is fine");
    world.write("in/a", "another");
    assert_eq!(world.said().await, "a is fine");
    node.stop().await;
    assert!(world.said.try_recv().is_err());
}

#[tokio::test]
async fn what_was_given_up_is_listed_and_tried_again() {
    let mut world = World::new();
    fs::write(&world.told.refused, "").unwrap();
    let node = world.node(Triggers::new().blobs("in/{name}", picky));
    world.write("in/a", "1");
    let poison = node.instance("blobs:picky:", RuntimeStatus::Failed).await;
    assert_eq!(poison.failure().unwrap().message(), "not today");
    assert_eq!(poison.tags["blob"].as_ref(), "in/a");

    fs::remove_file(&world.told.refused).unwrap();
    retry_blob(&node.client, poison.id.as_str()).await.unwrap();
    assert_eq!(world.said().await, "a is fine");
    node.instance("blobs:picky:", RuntimeStatus::Completed).await;
    node.client.start(ask, ()).id("17").await.unwrap();
    let error = retry_blob(&node.client, "17").await.unwrap_err().to_string();
    assert!(error.contains("handles no blob"), "{error}");
    node.stop().await;
}

#[tokio::test]
async fn large_and_binary_blobs_have_their_end_and_the_trigger_goes_on() {
    let mut world = World::new();
    let small = Blobs::of("small/{name}").bytes_max(1_000).named("small");
    let triggers = Triggers::new().blobs("in/{name}", picky).blobs(small, picky);
    let node = world.node(triggers.blobs("replies/{name}", reply));
    world.write("in/large", vec![0xFF; 10 << 20]);
    assert_eq!(world.said().await, "large is fine");
    world.write("small/large", vec![0xFF; 1_001]);
    let poison = node.instance("blobs:small:", RuntimeStatus::Failed).await;
    let why = poison.failure().unwrap().to_string();
    assert!(why.contains("has 1001 bytes, more than the 1000"), "{why}");
    world.write("replies/binary", [0xFF]);
    let poison = node.instance("blobs:reply:", RuntimeStatus::Failed).await;
    assert!(poison.failure().unwrap().message().contains("is not UTF-8"));
    assert_eq!(world.said().await, "binary has 1 bytes");
    world.write("small/enough", vec![0xFF; 1_000]);
    assert_eq!(world.said().await, "enough is fine");
    node.stop().await;
}

#[tokio::test]
async fn a_schedule_runs_and_one_that_changed_takes_over() {
    let mut world = World::new();
    let rarely = || Triggers::new().schedule("0 0 0 29 2 *", tick);
    let node = world.node(rarely());
    node.instance("schedule:tick", RuntimeStatus::Running).await;
    node.stop().await;
    let node = world.node(rarely());
    node.instance("schedule:tick", RuntimeStatus::Running).await;
    node.stop().await;
    assert!(world.said.try_recv().is_err());

    let often = Schedule::new("* * * * * *").zone("Asia/Kolkata");
    let node = world.node(Triggers::new().schedule(often, tick));
    world.said().await;
    world.said().await;
    node.stop().await;
}

#[test]
fn mistakes_are_found_when_the_program_is_built() {
    let error =
        |triggers: Triggers| triggers.build(Registry::new()).expect_err("a mistake").to_string();
    let wrong = error(Triggers::new().schedule("0 0 24 * * *", tick));
    assert!(wrong.starts_with("schedule `tick`: hour `24`: `24` is not allowed"), "{wrong}");
    let wrong = error(Triggers::new().blobs("in", picky));
    assert!(wrong.contains("must begin with a folder"), "{wrong}");
    let wrong = error(
        Triggers::new().schedule("0 0 0 * * *", |_: Occurrence| async { Ok::<(), Failure>(()) }),
    );
    assert!(wrong.contains("call `.named(..)`"), "{wrong}");
    let wrong = error(replies().blobs("out/{name}", reply));
    assert!(wrong.contains("two triggers are called `reply`"), "{wrong}");
    let wrong = error(Triggers::new().schedule(Schedule::new("0 0 0 * * *").named("a/b"), tick));
    assert!(wrong.contains("cannot name a trigger"), "{wrong}");
    let (registry, _) = replies().build(Registry::new()).unwrap();
    let wrong = registry.build().unwrap_err().to_string();
    assert!(
        wrong.starts_with("`reply` takes a State<in_process::triggers::Told>, and there is none"),
        "{wrong}"
    );
}
