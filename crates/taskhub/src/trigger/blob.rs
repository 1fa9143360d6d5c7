//! What a handler gets to see of a blob that arrived.

use bytes::Bytes;

use super::{
    blob_store::{BlobStore, ReadError, Reading},
    pattern::{Captures, Pattern},
    version::Version,
};

/// One version of a blob, with all of its content.
#[derive(Debug, Clone)]
pub struct Blob {
    path: String,
    captures: Captures,
    version: Version,
    bytes: Bytes,
}

/// The content of a blob is not UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("blob `{path}` is not UTF-8 text from byte {offset} on; take its `bytes()` instead")]
pub struct NotText {
    path: String,
    offset: usize,
}

/// What became of a version that was seen, once it was to be handled.
#[derive(Debug)]
pub(crate) enum Opened {
    /// It is still there.
    Blob(Blob),
    /// Another version has taken its place, and is handled instead.
    Changed,
    /// There is no such blob any more.
    Gone,
}

impl Blob {
    /// The most that is read of a blob unless its trigger says otherwise: 16 MiB.
    pub const BYTES_MAX: u64 = 16 << 20;

    /// A blob without captures, such as a test of a handler needs.
    #[must_use]
    pub fn new(path: impl Into<String>, content: impl Into<Bytes>) -> Self {
        let (path, bytes) = (path.into(), content.into());
        Self { path, captures: Captures::new(), version: Version::stored(String::new()), bytes }
    }

    /// Reads one version of a blob, if it is still there.
    pub(crate) async fn open(
        store: &BlobStore,
        pattern: &Pattern,
        (path, version): (&str, &Version),
        limit: u64,
    ) -> Result<Opened, ReadError> {
        Ok(match store.read(path, version, limit).await? {
            Reading::Whole(bytes) => Opened::Blob(Self {
                path: path.to_owned(),
                captures: pattern.captures(path).unwrap_or_default(),
                version: version.clone(),
                bytes,
            }),
            Reading::Changed => Opened::Changed,
            Reading::Gone => Opened::Gone,
        })
    }

    /// Where it is, from the root of its store: `weather-results/17.json`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The last part of its path: `17.json`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// Its name up to the first dot: `17`. All of its name, if there is no dot.
    #[must_use]
    pub fn stem(&self) -> &str {
        self.name().split('.').next().unwrap_or_default()
    }

    /// What the pattern of the trigger captured under a name.
    #[must_use]
    pub fn capture(&self, name: &str) -> Option<&str> {
        self.captures.get(name).map(String::as_str)
    }

    /// Which version of the blob this is.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// Its content.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Its size in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Its content as text, without the mark that some programs put before UTF-8.
    pub fn text(&self) -> Result<String, NotText> {
        match std::str::from_utf8(&self.bytes) {
            Ok(text) => Ok(text.strip_prefix('\u{FEFF}').unwrap_or(text).to_owned()),
            Err(error) => Err(NotText { path: self.path.clone(), offset: error.valid_up_to() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stem_ends_at_the_first_dot() {
        let stem = |path| Blob::new(path, "").stem().to_owned();
        assert_eq!(stem("in/17.json"), "17");
        assert_eq!(stem("in/17.tar.gz"), "17");
        assert_eq!(stem("in/deep.er/17"), "17");
        assert_eq!(stem("17"), "17");
        assert_eq!(Blob::new("in/17.json", "").name(), "17.json");
    }

    #[test]
    fn text_is_utf_8_or_a_clear_error() {
        assert_eq!(Blob::new("in/a", "snow ☃").text().unwrap(), "snow ☃");
        assert_eq!(Blob::new("in/a", "\u{FEFF}marked").text().unwrap(), "marked");
        let error = Blob::new("in/a", b"ab\xFF".as_slice()).text().unwrap_err();
        assert_eq!(
            error.to_string(),
            "blob `in/a` is not UTF-8 text from byte 2 on; take its `bytes()` instead"
        );
    }

    #[tokio::test]
    async fn a_blob_is_opened_with_what_the_pattern_captured() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("in")).unwrap();
        std::fs::write(directory.path().join("in/a.json"), "text").unwrap();
        let store = BlobStore::folder(directory.path()).unwrap();
        let pattern = Pattern::parse("in/{name}.json").unwrap();
        let found = store.look("in/a.json").await.unwrap().unwrap();
        let open = |limit| Blob::open(&store, &pattern, ("in/a.json", &found.version), limit);

        let Opened::Blob(blob) = open(4).await.unwrap() else { panic!("it is there") };
        assert_eq!((blob.capture("name"), blob.capture("kind")), (Some("a"), None));
        assert_eq!((blob.size(), blob.version()), (4, &found.version));
        assert!(open(3).await.unwrap_err().to_string().contains("more than the 3"));
        std::fs::write(directory.path().join("in/a.json"), "another").unwrap();
        assert!(matches!(open(9).await.unwrap(), Opened::Changed));
        std::fs::remove_file(directory.path().join("in/a.json")).unwrap();
        assert!(matches!(open(9).await.unwrap(), Opened::Gone));
    }
}
