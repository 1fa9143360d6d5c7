//! Tells one version of a blob from the next, so that each is handled once.

use std::{
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

use object_store::ObjectMeta;
use uuid::Uuid;

/// What changes whenever a blob is written: its `ETag`, or when it was written and its size.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version(String);

/// Makes our digests differ from those of anybody else; its value must never change.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f35_1b1c_8e0a_4c47_9a3e_2d52_7b90_c1e4);

impl Version {
    /// A version read back from where it was stored.
    pub(crate) fn stored(text: String) -> Self {
        Self(text)
    }

    /// The version of a file. Its inode is no part of it: mounting a disk again may change that.
    pub(crate) fn of_file(metadata: &std::fs::Metadata) -> Self {
        let modified = metadata.modified().unwrap_or(UNIX_EPOCH);
        Self(format!("{:x}-{:x}", nanoseconds(modified), metadata.len()))
    }

    pub(crate) fn of_object(meta: &ObjectMeta) -> Self {
        let written = || nanoseconds(SystemTime::from(meta.last_modified));
        Self(meta.e_tag.clone().unwrap_or_else(|| format!("{:x}-{:x}", written(), meta.size)))
    }

    /// The version as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// 122 bits that stand for this version of the blob at `path`, the same on every machine.
    pub(crate) fn digest(&self, path: &str) -> u128 {
        digest(&format!("{path}\0{}", self.0))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// 122 bits that stand for a text, the same on every machine and for ever.
pub(crate) fn digest(text: &str) -> u128 {
    Uuid::new_v5(&NAMESPACE, text.as_bytes()).as_u128()
}

/// Since the beginning of 1970; what is older counts from the other side of zero.
fn nanoseconds(time: SystemTime) -> u128 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => after.as_nanos(),
        Err(before) => u128::MAX - before.duration().as_nanos(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_never_changes() {
        let digest = |path, version: &str| Version::stored(version.into()).digest(path);
        let expected = 0xdb7a_edc9_914f_5259_8841_a9ac_0f2f_e118;
        assert_eq!(digest("in/a.json", "18f-3"), expected);
        assert_ne!(digest("in/a.json", "18f-3"), digest("in/a.json", "18f-4"));
        assert_ne!(digest("in/a.json", "18f-3"), digest("in/b.json", "18f-3"));
    }
}
