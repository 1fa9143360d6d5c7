//! What activities did, written down by themselves: one line each time one runs, in a file per
//! process.

use std::{
    fs::{File, OpenOptions, read_dir, read_to_string},
    io::{self, Write as _},
    path::Path,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

/// One run of an activity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ran {
    pub activity: String,
    pub instance: String,
    /// Names the call within its instance.
    pub step: String,
    /// Unique; it is the result of the activity, so that it shows which run was taken.
    pub mark: String,
}

/// Where a process writes.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    file: Arc<File>,
}

impl Journal {
    /// Opens the journal of this process in a folder.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        let name = format!("journal-{}.jsonl", uuid::Uuid::now_v7().simple());
        let file = OpenOptions::new().create(true).append(true).open(folder.join(name))?;
        Ok(Self { file: Arc::new(file) })
    }

    /// Writes a line: whole, as one write, which a `kill -9` that follows does not undo.
    pub(crate) fn note(&self, ran: &Ran) -> io::Result<()> {
        let line = serde_json::to_string(ran)? + "\n";
        (&*self.file).write_all(line.as_bytes())
    }
}

/// All lines of the journals in a folder, each with where its file and it stand.
pub(crate) fn read(folder: &Path) -> Vec<Ran> {
    let files = read_dir(folder).into_iter().flatten().flatten();
    let journals = files.filter(|it| it.file_name().to_string_lossy().starts_with("journal-"));
    let texts = journals.map(|it| read_to_string(it.path()).unwrap_or_default());
    texts.flat_map(|text| text.lines().filter_map(line).collect::<Vec<_>>()).collect()
}

/// A line, if it is whole.
pub(crate) fn line(text: &str) -> Option<Ran> {
    serde_json::from_str(text).ok()
}
