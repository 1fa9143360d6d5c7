//! Which blobs to handle, where they are, and how much of them to read.

use std::{collections::BTreeMap, time::Duration};

use super::{
    blob::Blob,
    blob_store::BlobStore,
    pattern::{Pattern, PatternError},
};

/// Which blobs to call a handler for.
///
/// ```
/// use taskhub::trigger::Blobs;
///
/// let replies: Blobs = "weather-results/{name}".into();
/// let photos = Blobs::of("photos/{album}/{name}.jpg").bytes_max(64 << 20).named("photos");
/// ```
#[derive(Debug, Clone)]
pub struct Blobs {
    pub(crate) pattern: String,
    pub(crate) store: Option<BlobStore>,
    pub(crate) bytes_max: u64,
    pub(crate) scan_every: Option<Duration>,
    pub(crate) name: Option<String>,
}

impl Blobs {
    /// Those whose path matches a pattern, in the store of the host.
    ///
    /// A pattern begins with a literal folder. `{name}` stands for any text that is not empty,
    /// slashes included; where several texts would do, the first capture takes as much as it can.
    /// The rest must be there as it is written, letters in their own case; `{{` and `}}` stand for
    /// the braces themselves.
    #[must_use]
    pub fn of(pattern: impl Into<String>) -> Self {
        Self {
            pattern: pattern.into(),
            store: None,
            bytes_max: Blob::BYTES_MAX,
            scan_every: None,
            name: None,
        }
    }

    /// In this store instead.
    #[must_use]
    pub fn store(mut self, store: BlobStore) -> Self {
        self.store = Some(store);
        self
    }

    /// Gives up a blob with more bytes than this, instead of [`Blob::BYTES_MAX`].
    #[must_use]
    pub fn bytes_max(mut self, bytes: u64) -> Self {
        self.bytes_max = bytes;
        self
    }

    /// Looks through the store this often, instead of each second for a folder, in which files are
    /// noticed at once anyway, and every 10 seconds for any other store.
    #[must_use]
    pub fn scan_every(mut self, interval: Duration) -> Self {
        self.scan_every = Some(interval);
        self
    }

    /// What the trigger is called, instead of what its handler is called. Under a new name, all
    /// blobs are new.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

impl Blobs {
    /// What the pattern captures in a path, by the names in its braces; `None` if it is not for
    /// this path.
    ///
    /// ```
    /// use taskhub::trigger::Blobs;
    ///
    /// # fn main() -> Result<(), taskhub::trigger::PatternError> {
    /// let photos = Blobs::of("photos/{album}/{name}.jpg");
    /// let found = photos.captures("photos/2026/lake/17.jpg")?.unwrap_or_default();
    /// assert_eq!((found["album"].as_str(), found["name"].as_str()), ("2026/lake", "17"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn captures(&self, path: &str) -> Result<Option<BTreeMap<String, String>>, PatternError> {
        Ok(Pattern::parse(&self.pattern)?.captures(path))
    }
}

impl From<&str> for Blobs {
    fn from(pattern: &str) -> Self {
        Self::of(pattern)
    }
}
