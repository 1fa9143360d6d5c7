//! Forgets receipts of blobs that have been gone for a day, so that they do not pile up.

use std::time::{Duration, SystemTime};

use super::{
    receipt::{BLOB_TAG, VERSION_TAG, Watched, Watches, prefix},
    schedule::Occurrence,
};
use crate::{Client, Filter, Result, RuntimeStatus, State, Status};

/// How long a receipt is kept at least.
const KEPT: Duration = Duration::from_hours(24);

/// Receipts that are looked at in one go.
const PAGE: usize = 1_000;

/// Looks at the receipts of all triggers. Those of blobs that failed are left for a person.
pub(crate) async fn sweep_receipts(
    _: Occurrence,
    hub: Client,
    State(watches): State<Watches>,
) -> Result<()> {
    sweep(&hub, &watches, SystemTime::from(hub.now()) - KEPT).await
}

/// Forgets the receipts that are older than `before` and whose blobs are gone.
async fn sweep(hub: &Client, watches: &Watches, before: SystemTime) -> Result<()> {
    for (trigger, watched) in &*watches.0 {
        let completed = Filter::new().id_prefix(prefix(trigger)).status(RuntimeStatus::Completed);
        let mut next = Some(completed.completed_before(before).limit(PAGE));
        let mut forgotten = 0_u64;
        while let Some(filter) = next {
            let page = hub.list(filter).await?;
            for receipt in &page.instances {
                if is_gone(receipt, watched).await {
                    hub.instance(receipt.id.as_str()).purge().await?;
                    forgotten += 1;
                }
            }
            next = page.next;
        }
        tracing::info!(trigger, forgotten, "swept the receipts of blobs that are gone");
    }
    Ok(())
}

/// Whether nobody can see this version of the blob again. In doubt, it is still there.
async fn is_gone(receipt: &Status, watched: &Watched) -> bool {
    let tag = |key: &str| receipt.tags.get(key).map(|text| &**text);
    let (Some(path), Some(version)) = (tag(BLOB_TAG), tag(VERSION_TAG)) else { return true };
    match watched.store.look(path).await {
        Ok(found) => found.is_none_or(|found| found.version.as_str() != version),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, fs, sync::Arc};

    use taskhub_core::Limits;
    use taskhub_engine::{Hub, store::MemoryStore};

    use super::*;
    use crate::{
        Failure, Registry,
        trigger::{
            blob::Blob,
            blob_store::BlobStore,
            handler::Handle,
            pattern::Pattern,
            receipt::{Receipt, handle_blob, run_handler},
        },
    };

    /// Watches for `x` whose handler refuses blobs with `bad` in their name.
    fn watches(store: BlobStore) -> Watches {
        let handle = Handle::new(|blob: Blob| async move {
            let bad = blob.name().contains("bad");
            if bad { Err(Failure::terminal("bad")) } else { Ok(()) }
        });
        let pattern = Pattern::parse("in/{name}").unwrap();
        let bytes_max = Blob::BYTES_MAX;
        let watched = Watched { store, pattern, bytes_max, scan_every: None, handle };
        Watches(Arc::new(HashMap::from([("x".to_owned(), watched)])))
    }

    async fn names(hub: &Client) -> Vec<String> {
        let page = hub.list(Filter::new()).await.unwrap();
        let mut names: Vec<_> =
            page.instances.iter().map(|it| it.tags[BLOB_TAG].to_string()).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn only_receipts_of_blobs_that_are_gone_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("in")).unwrap();
        let watches = watches(BlobStore::folder(folder.path()).unwrap());
        let registry = Registry::new().orchestration(handle_blob).activity(run_handler);
        let registered = registry.state(watches.clone()).build().unwrap();
        let store = Arc::new(MemoryStore::new(1));
        let hub = Hub::open(store, registered.code(), Limits::default()).unwrap();
        let hub = registered.connect(hub);
        for name in ["in/here", "in/gone", "in/changed", "in/bad"] {
            fs::write(folder.path().join(name), "1").unwrap();
            let found = watches.0["x"].store.look(name).await.unwrap().unwrap();
            let receipt = Receipt::of("x", &found);
            receipt.clone().start(&hub).await.unwrap();
            let _ = hub.instance(receipt.id()).wait(Duration::from_mins(1)).await;
        }
        fs::remove_file(folder.path().join("in/gone")).unwrap();
        fs::remove_file(folder.path().join("in/bad")).unwrap();
        fs::write(folder.path().join("in/changed"), "another").unwrap();

        let long_ago = SystemTime::now() - Duration::from_hours(1);
        sweep(&hub, &watches, long_ago).await.unwrap();
        assert_eq!(names(&hub).await, ["in/bad", "in/changed", "in/gone", "in/here"]);
        let later = SystemTime::now() + Duration::from_hours(1);
        sweep(&hub, &watches, later).await.unwrap();
        assert_eq!(names(&hub).await, ["in/bad", "in/here"]);
        hub.hub().expect("it is here").stop().await;
    }
}
