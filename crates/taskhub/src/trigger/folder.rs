//! Finds and reads blobs that are files, whatever else is in the folder with them.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read},
    path::{Component, Path, PathBuf},
};

use tokio::sync::mpsc;

use super::{
    blob_store::{FINDING_COUNT_MAX, Finding, ReadError, Reading},
    sightings::Sighting,
    version::Version,
};

/// A folder whose files are blobs.
///
/// It is not read through `object_store`, whose listing ends at the first name that is not UTF-8
/// and which cannot name a file such as `a#1`: one such file would hide all others.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    root: PathBuf,
}

/// Tells a folder from another one that has taken its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity(u64, u64);

impl Folder {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    #[cfg(test)]
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where the blob or folder at `path` is.
    pub(crate) fn place(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Makes the folder at `path`, unless it exists; whether it had to.
    pub(crate) fn create(&self, path: &str) -> io::Result<bool> {
        let place = self.place(path);
        if place.is_dir() {
            return Ok(false);
        }
        fs::create_dir_all(place).map(|()| true)
    }

    /// Which folder is at `path` now, if there is one.
    pub(crate) fn identity(&self, path: &str) -> Option<Identity> {
        let metadata = fs::metadata(self.place(path)).ok().filter(fs::Metadata::is_dir)?;
        #[cfg(unix)]
        let identity = {
            use std::os::unix::fs::MetadataExt;
            Identity(metadata.dev(), metadata.ino())
        };
        #[cfg(not(unix))]
        let identity = Identity(u64::from(metadata.is_dir()), 0);
        Some(identity)
    }

    /// The path of a blob, for a file below the root; `None` for a name that can be none.
    pub(crate) fn path_of(&self, place: &Path) -> Option<String> {
        let mut parts = Vec::new();
        for part in place.strip_prefix(&self.root).ok()?.components() {
            let Component::Normal(part) = part else { return None };
            parts.push(part.to_str().filter(|_| !is_temporary(part))?);
        }
        (!parts.is_empty()).then(|| parts.join("/"))
    }

    /// Reports every wanted file below `within`, and ends early if nobody listens any more.
    pub(crate) fn scan(
        &self,
        within: &str,
        wanted: &dyn Fn(&str) -> bool,
        findings: &mpsc::Sender<Finding>,
    ) {
        let mut scan = Scan { folder: self, wanted, findings, blobs: Vec::new(), heard: true };
        let reached_everything = scan.walk(self.place(within));
        scan.send_blobs();
        scan.send(Finding::End { reached_everything });
    }

    pub(crate) fn look(&self, path: &str) -> Result<Option<Sighting>, ReadError> {
        match self.file(path) {
            Ok(metadata) => Ok(metadata.map(|it| sighting(path.to_owned(), &it))),
            Err(error) => Err(ReadError::store(path, error)),
        }
    }

    pub(crate) fn read(
        &self,
        path: &str,
        version: &Version,
        limit: u64,
    ) -> Result<Reading, ReadError> {
        let failed = |error| ReadError::store(path, error);
        if self.file(path).map_err(failed)?.is_none() {
            return Ok(Reading::Gone);
        }
        let file = match File::open(self.place(path)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Reading::Gone),
            Err(error) => return Err(failed(error)),
        };
        let metadata = file.metadata().map_err(failed)?;
        if Version::of_file(&metadata) != *version {
            return Ok(Reading::Changed);
        }
        if metadata.len() > limit {
            let path = path.to_owned();
            return Err(ReadError::TooLarge { path, size: metadata.len(), limit });
        }
        let mut bytes = Vec::new();
        (&file).take(limit).read_to_end(&mut bytes).map_err(failed)?;
        // Somebody may have written to it meanwhile: half of one version and half of another.
        if Version::of_file(&file.metadata().map_err(failed)?) != *version {
            return Ok(Reading::Changed);
        }
        Ok(Reading::Whole(bytes.into()))
    }

    /// What is known of the file at `path`; `None` if it is gone or something else.
    fn file(&self, path: &str) -> io::Result<Option<fs::Metadata>> {
        let place = self.place(path);
        let below = Path::new(path).components().all(|it| matches!(it, Component::Normal(_)));
        if !below {
            return Ok(None);
        }
        match fs::symlink_metadata(place) {
            Ok(metadata) => Ok(Some(metadata).filter(fs::Metadata::is_file)),
            Err(error) if is_absence(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Whether the file is somebody's work in progress, or hidden.
pub(crate) fn is_temporary(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    let ends = [b".tmp".as_slice(), b".part", b"~"];
    name.starts_with(b".") || ends.iter().any(|end| name.ends_with(end))
}

/// A file where a folder should be means that there is nothing below it.
fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn sighting(path: String, metadata: &fs::Metadata) -> Sighting {
    let age = metadata.modified().ok().and_then(|it| it.elapsed().ok()).unwrap_or_default();
    Sighting { path, version: Version::of_file(metadata), size: metadata.len(), age }
}

/// A scan on its way through a folder.
struct Scan<'a> {
    folder: &'a Folder,
    wanted: &'a dyn Fn(&str) -> bool,
    findings: &'a mpsc::Sender<Finding>,
    blobs: Vec<Sighting>,
    /// Whether anybody still listens.
    heard: bool,
}

impl Scan<'_> {
    /// Whether the folder itself could be read; what is closed below it is reported as trouble.
    fn walk(&mut self, start: PathBuf) -> bool {
        let mut reached_start = false;
        let mut waiting = vec![start];
        while let Some(place) = waiting.pop() {
            match fs::read_dir(&place) {
                Ok(entries) => {
                    reached_start = true;
                    for entry in entries {
                        match entry.and_then(|entry| self.entry(&entry)) {
                            Ok(folder) => waiting.extend(folder),
                            Err(error) => self.trouble(&place, &error),
                        }
                    }
                }
                Err(error) => self.trouble(&place, &error),
            }
            if !self.heard {
                return false;
            }
        }
        reached_start
    }

    /// Takes one entry of a folder; gives it back if it is a folder to look into.
    fn entry(&mut self, entry: &fs::DirEntry) -> io::Result<Option<PathBuf>> {
        let kind = entry.file_type()?;
        let name = entry.file_name();
        if is_temporary(&name) || kind.is_symlink() {
            return Ok(None);
        }
        if kind.is_dir() {
            return Ok(Some(entry.path()));
        }
        let Some(path) = self.folder.path_of(&entry.path()) else {
            self.trouble(&entry.path(), &io::Error::other("its name is not UTF-8; rename it"));
            return Ok(None);
        };
        if !kind.is_file() || !(self.wanted)(&path) {
            return Ok(None);
        }
        match entry.metadata() {
            Ok(metadata) => self.blobs.push(sighting(path, &metadata)),
            Err(error) if is_absence(&error) => {}
            Err(error) => return Err(error),
        }
        if self.blobs.len() >= FINDING_COUNT_MAX {
            self.send_blobs();
        }
        Ok(None)
    }

    fn trouble(&mut self, place: &Path, error: &io::Error) {
        // What vanished during the scan is no trouble, unless it is all there was.
        if place != self.folder.root && is_absence(error) {
            return;
        }
        self.send(Finding::Trouble(format!("`{}`: {error}", place.display())));
    }

    fn send_blobs(&mut self) {
        let blobs = std::mem::take(&mut self.blobs);
        self.send(Finding::Blobs(blobs));
    }

    fn send(&mut self, finding: Finding) {
        self.heard = self.heard && self.findings.blocking_send(finding).is_ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sample {
        directory: tempfile::TempDir,
        folder: Folder,
    }

    impl Sample {
        fn new(files: &[&str]) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let sample = Self { folder: Folder::new(directory.path().into()), directory };
            for file in files {
                sample.write(file, "text");
            }
            sample
        }

        fn write(&self, path: &str, text: &str) {
            let place = self.directory.path().join(path);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::write(place, text).unwrap();
        }

        /// What a scan of `in` finds, sorted, and the last finding.
        fn scan(&self) -> (Vec<String>, Vec<String>, bool) {
            let (sender, mut receiver) = mpsc::channel(100);
            self.folder.scan("in", &|path| !path.contains("unwanted"), &sender);
            let (mut paths, mut troubles) = (Vec::new(), Vec::new());
            loop {
                match receiver.try_recv().unwrap() {
                    Finding::Blobs(blobs) => paths.extend(blobs.into_iter().map(|it| it.path)),
                    Finding::Trouble(trouble) => troubles.push(trouble),
                    Finding::End { reached_everything } => {
                        paths.sort();
                        return (paths, troubles, reached_everything);
                    }
                }
            }
        }
    }

    #[test]
    fn a_scan_finds_files_at_every_depth_and_no_temporary_ones() {
        let files = ["in/a", "in/b#1.json", "in/deep/er/c", "in/Ü b.txt", "in/unwanted", "out/x"];
        let temporary = ["in/.a", "in/a.tmp", "in/a.part", "in/a~", "in/.git/a", "in/x.tmp/a"];
        let sample = Sample::new(&[files.as_slice(), &temporary].concat());
        let (paths, troubles, reached_everything) = sample.scan();
        assert_eq!(paths, ["in/a", "in/b#1.json", "in/deep/er/c", "in/Ü b.txt"]);
        assert_eq!((troubles.len(), reached_everything), (0, true));
    }

    #[cfg(unix)]
    #[test]
    fn a_name_that_is_not_text_is_reported_and_hides_nothing() {
        use std::os::unix::ffi::OsStrExt;
        let sample = Sample::new(&["in/a"]);
        let name = OsStr::from_bytes(b"in/\xFF.json");
        fs::write(sample.directory.path().join(name), "text").unwrap();
        let (paths, troubles, reached_everything) = sample.scan();
        assert_eq!((paths.len(), reached_everything), (1, true));
        assert!(troubles[0].contains("not UTF-8"), "{troubles:?}");
    }

    #[cfg(unix)]
    #[test]
    fn links_are_not_followed() {
        let sample = Sample::new(&["in/a", "secret/b"]);
        let root = sample.directory.path();
        std::os::unix::fs::symlink(root.join("secret/b"), root.join("in/link")).unwrap();
        std::os::unix::fs::symlink(root.join("secret"), root.join("in/folder")).unwrap();
        assert_eq!(sample.scan().0, ["in/a"]);
        assert_eq!(sample.folder.look("in/link").unwrap(), None);
    }

    #[test]
    fn a_missing_folder_is_nothing_reached() {
        let sample = Sample::new(&[]);
        assert!(!sample.scan().2);
        assert_eq!(sample.folder.identity("in"), None);
        assert!(sample.folder.create("in").unwrap());
        assert!(!sample.folder.create("in").unwrap());
        assert!(sample.scan().2);
        assert!(sample.folder.identity("in").is_some());
    }

    #[test]
    fn a_file_is_read_by_its_version() {
        let sample = Sample::new(&["in/a"]);
        let read = |version: &Version, limit| sample.folder.read("in/a", version, limit);
        let first = sample.folder.look("in/a").unwrap().unwrap().version;
        assert_eq!(read(&first, 4).unwrap(), Reading::Whole("text".into()));
        assert!(read(&first, 3).unwrap_err().to_string().contains("has 4 bytes"));
        sample.write("in/a", "other");
        assert_eq!(read(&first, 9).unwrap(), Reading::Changed);
        fs::remove_file(sample.directory.path().join("in/a")).unwrap();
        assert_eq!(read(&first, 9).unwrap(), Reading::Gone);
    }

    #[test]
    fn nothing_outside_the_folder_is_read() {
        let sample = Sample::new(&["in/a"]);
        let version = sample.folder.look("in/a").unwrap().unwrap().version;
        let inner = Folder::new(sample.directory.path().join("in/deep"));
        assert_eq!(inner.read("../a", &version, 9).unwrap(), Reading::Gone);
        assert_eq!(inner.look("../a").unwrap(), None);
    }
}
