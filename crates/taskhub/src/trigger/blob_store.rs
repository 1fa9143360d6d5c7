//! Where blobs are kept: in a folder of this machine, or in an object store.

use std::{io, path::PathBuf, sync::Arc};

use bytes::Bytes;
use futures::StreamExt;
use object_store::{ObjectStore, ObjectStoreExt, path::Path as ObjectPath};
use tokio::sync::mpsc;

use super::{folder::Folder, sightings::Sighting, version::Version};

/// A place with blobs in it, each with a path of parts divided by `/`.
///
/// In a folder, the first part of a path is a folder in it. Files whose name begins with `.` or
/// ends with `.tmp`, `.part` or `~` are not blobs yet, and links are not followed.
#[derive(Debug, Clone)]
pub struct BlobStore(Place);

#[derive(Debug, Clone)]
enum Place {
    Folder(Folder),
    Objects(Arc<dyn ObjectStore>),
}

/// Why a place cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlobStoreError {
    /// It is a URL that does not begin with `file://`, or that names no path.
    #[error(
        "`{0}` is no folder: give a path or a URL such as `file:///srv/blobs`; \
         any other store is given to `BlobStore::objects`"
    )]
    Url(String),
    /// The current folder is not known, so a relative path leads nowhere.
    #[error("`{path}` cannot be made absolute: {source}")]
    Relative {
        /// The path as it was given.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Why a blob could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The blob does not fit in memory as far as it was allowed to.
    #[error(
        "blob `{path}` has {size} bytes, more than the {limit} that this trigger reads; \
         raise its limit, or send large content another way"
    )]
    TooLarge {
        /// Where the blob is.
        path: String,
        /// Its size in bytes.
        size: u64,
        /// The largest size that is read, in bytes.
        limit: u64,
    },
    /// The store refused or failed.
    #[error("blob `{path}` cannot be read: {source}")]
    Store {
        /// Where the blob is.
        path: String,
        /// What the store says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What became of the attempt to read one version of a blob.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// All of it.
    Whole(Bytes),
    /// Another version has taken its place.
    Changed,
    /// There is no such blob any more.
    Gone,
}

/// What a scan finds on its way.
#[derive(Debug)]
pub(crate) enum Finding {
    Blobs(Vec<Sighting>),
    /// A part that could not be looked at, and why; the scan goes on.
    Trouble(String),
    /// The last finding. A scan that failed as a whole did not reach everything.
    End {
        reached_everything: bool,
    },
}

/// Whether a trigger is for the blob at a path.
pub(crate) type Wanted = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// Blobs in one finding; a few findings wait for whoever takes them.
pub(crate) const FINDING_COUNT_MAX: usize = 256;
const FINDINGS_WAITING_MAX: usize = 2;

impl BlobStore {
    /// A folder, by its path or a `file://` URL.
    pub fn open(place: &str) -> Result<Self, BlobStoreError> {
        if !place.contains("://") {
            return Self::folder(place);
        }
        let url = url::Url::parse(place).ok().filter(|url| url.scheme() == "file");
        match url.and_then(|url| url.to_file_path().ok()) {
            Some(path) => Self::folder(path),
            None => Err(BlobStoreError::Url(place.to_owned())),
        }
    }

    /// A folder of this machine, which need not exist yet.
    pub fn folder(path: impl Into<PathBuf>) -> Result<Self, BlobStoreError> {
        let path = path.into();
        match std::path::absolute(&path) {
            Ok(path) => Ok(Self(Place::Folder(Folder::new(path)))),
            Err(source) => Err(BlobStoreError::Relative { path, source }),
        }
    }

    /// Any store of the `object_store` crate; it is scanned, as there is nobody to notify us.
    #[must_use]
    pub fn objects(store: Arc<dyn ObjectStore>) -> Self {
        Self(Place::Objects(store))
    }

    /// The folder, if this is one.
    pub(crate) fn as_folder(&self) -> Option<&Folder> {
        match &self.0 {
            Place::Folder(folder) => Some(folder),
            Place::Objects(_) => None,
        }
    }

    /// Looks at every blob below `within`.
    pub(crate) fn scan(&self, within: String, wanted: Wanted) -> mpsc::Receiver<Finding> {
        let (findings, receiver) = mpsc::channel(FINDINGS_WAITING_MAX);
        match self.0.clone() {
            Place::Folder(folder) => {
                tokio::task::spawn_blocking(move || folder.scan(&within, &*wanted, &findings));
            }
            Place::Objects(store) => {
                tokio::spawn(async move { list(&*store, within, wanted, findings).await });
            }
        }
        receiver
    }

    /// The blob at `path` as it is now, if there is one.
    pub(crate) async fn look(&self, path: &str) -> Result<Option<Sighting>, ReadError> {
        match &self.0 {
            Place::Folder(folder) => {
                let folder = folder.clone();
                blocking(path, move |path| folder.look(path)).await
            }
            Place::Objects(store) => match store.head(&ObjectPath::from(path)).await {
                Ok(meta) => Ok(Some(sighting(path.to_owned(), &meta))),
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(ReadError::store(path, error)),
            },
        }
    }

    /// The content of one version of a blob, if it has at most `limit` bytes.
    pub(crate) async fn read(
        &self,
        path: &str,
        version: &Version,
        limit: u64,
    ) -> Result<Reading, ReadError> {
        match &self.0 {
            Place::Folder(folder) => {
                let (folder, version) = (folder.clone(), version.clone());
                blocking(path, move |path| folder.read(path, &version, limit)).await
            }
            Place::Objects(store) => read(&**store, path, version, limit).await,
        }
    }
}

impl ReadError {
    pub(crate) fn store<E>(path: &str, source: E) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        Self::Store { path: path.to_owned(), source: source.into() }
    }
}

/// Runs `work`, which may wait for a disk, on a thread that may wait.
async fn blocking<T, F>(path: &str, work: F) -> Result<T, ReadError>
where
    T: Send + 'static,
    F: FnOnce(&str) -> Result<T, ReadError> + Send + 'static,
{
    let owned = path.to_owned();
    let work = tokio::task::spawn_blocking(move || work(&owned)).await;
    work.unwrap_or_else(|error| Err(ReadError::store(path, error)))
}

async fn list(
    store: &dyn ObjectStore,
    within: String,
    wanted: Wanted,
    findings: mpsc::Sender<Finding>,
) {
    let mut reached_everything = true;
    let mut pages = store.list(Some(&ObjectPath::from(within))).ready_chunks(FINDING_COUNT_MAX);
    while let Some(page) = pages.next().await {
        let mut blobs = Vec::new();
        for meta in page {
            match meta {
                Ok(meta) if wanted(meta.location.as_ref()) => {
                    blobs.push(sighting(meta.location.to_string(), &meta));
                }
                Ok(_) => {}
                Err(error) => {
                    reached_everything = false;
                    let _ = findings.send(Finding::Trouble(error.to_string())).await;
                }
            }
        }
        if findings.send(Finding::Blobs(blobs)).await.is_err() {
            return;
        }
    }
    let _ = findings.send(Finding::End { reached_everything }).await;
}

async fn read(
    store: &dyn ObjectStore,
    path: &str,
    version: &Version,
    limit: u64,
) -> Result<Reading, ReadError> {
    let blob = match store.get(&ObjectPath::from(path)).await {
        Ok(blob) => blob,
        Err(object_store::Error::NotFound { .. }) => return Ok(Reading::Gone),
        Err(error) => return Err(ReadError::store(path, error)),
    };
    if Version::of_object(&blob.meta) != *version {
        return Ok(Reading::Changed);
    }
    if blob.meta.size > limit {
        return Err(ReadError::TooLarge { path: path.to_owned(), size: blob.meta.size, limit });
    }
    let bytes = blob.bytes().await.map_err(|error| ReadError::store(path, error))?;
    Ok(Reading::Whole(bytes))
}

fn sighting(path: String, meta: &object_store::ObjectMeta) -> Sighting {
    let written = std::time::SystemTime::from(meta.last_modified);
    let age = written.elapsed().unwrap_or_default();
    Sighting { path, version: Version::of_object(meta), size: meta.size, age }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    #[test]
    fn a_folder_is_opened_by_path_or_url() {
        let root = |place| {
            let store = BlobStore::open(place).unwrap();
            store.as_folder().unwrap().root().to_owned()
        };
        assert_eq!(root("file:///srv/my%20blobs"), PathBuf::from("/srv/my blobs"));
        assert_eq!(root("/srv/blobs"), PathBuf::from("/srv/blobs"));
        assert!(root("blobs").is_absolute());
        for bad in ["s3://bucket", "file://elsewhere/x", "://"] {
            let error = BlobStore::open(bad).unwrap_err().to_string();
            assert!(error.contains("`BlobStore::objects`"), "{error}");
        }
    }

    #[tokio::test]
    async fn an_object_is_found_and_read_by_its_version() {
        let objects = Arc::new(InMemory::new());
        let store = BlobStore::objects(objects.clone());
        let path = ObjectPath::from("in/a.json");
        objects.put(&path, "one".into()).await.unwrap();
        objects.put(&ObjectPath::from("out/b"), "x".into()).await.unwrap();

        let mut findings = store.scan("in".into(), Arc::new(|_| true));
        let Some(Finding::Blobs(blobs)) = findings.recv().await else { panic!("no blobs") };
        assert_eq!(blobs.len(), 1);
        let found = &blobs[0];
        assert_eq!((found.path.as_str(), found.size), ("in/a.json", 3));
        let end = findings.recv().await.unwrap();
        assert!(matches!(end, Finding::End { reached_everything: true }));

        let read = |limit| store.read("in/a.json", &found.version, limit);
        assert_eq!(read(3).await.unwrap(), Reading::Whole("one".into()));
        let error = read(2).await.unwrap_err().to_string();
        assert!(error.contains("has 3 bytes, more than the 2"), "{error}");
        objects.put(&path, "two".into()).await.unwrap();
        assert_eq!(read(3).await.unwrap(), Reading::Changed);
        assert_ne!(store.look("in/a.json").await.unwrap().unwrap().version, found.version);
        objects.delete(&path).await.unwrap();
        assert_eq!(read(3).await.unwrap(), Reading::Gone);
        assert_eq!(store.look("in/a.json").await.unwrap(), None);
    }
}
