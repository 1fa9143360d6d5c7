//! What clients were told, line by line in a file: what the hub accepted, and what it answered.

use std::{
    fs::{File, OpenOptions, read_to_string},
    io::{self, Write as _},
    path::Path,
    sync::Mutex,
};

use serde::{Deserialize, Serialize};

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Line {
    /// A client begins to ask, with a key; it asks until it is answered.
    Asks { orchestration: String, key: String, body: String },
    /// It was answered, after so many milliseconds and tries.
    Answered { orchestration: String, key: String, text: String, millis: u64, tries: u32 },
    /// Somebody asked once more with the same key, elsewhere.
    AnsweredAgain { orchestration: String, key: String, text: String },
    /// An answer that must not be.
    Wrong { orchestration: String, key: String, status: u16, text: String },
    /// The world replies to a request, perhaps for the second time.
    Replies { instance: String, text: String },
    /// A reply was accepted.
    Replied { instance: String, text: String },
    /// A client signals a counter.
    Signals { counter: String, operation: String },
    /// The signal was accepted.
    Signalled { counter: String, operation: String },
}

/// Where clients write down what they were told.
#[derive(Debug)]
pub(crate) struct Ledger {
    file: Mutex<File>,
}

impl Ledger {
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        let file =
            OpenOptions::new().create(true).append(true).open(folder.join("ledger.jsonl"))?;
        Ok(Self { file: Mutex::new(file) })
    }

    /// Writes a line. The test has failed if that cannot be done.
    pub(crate) fn note(&self, line: &Line) {
        let text = serde_json::to_string(line).expect("it is text") + "\n";
        let mut file = self.file.lock().expect("nobody panics with it");
        file.write_all(text.as_bytes()).expect("there is space for the ledger");
    }
}

/// All lines in a folder's ledger, in order.
pub(crate) fn read(folder: &Path) -> io::Result<Vec<Line>> {
    let text = read_to_string(folder.join("ledger.jsonl"))?;
    Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

/// The instance that a gateway starts for a key.
pub(crate) fn instance(orchestration: &str, key: &str) -> String {
    let named = [orchestration.as_bytes(), b"\0", key.as_bytes()].concat();
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, &named).simple().to_string()
}
