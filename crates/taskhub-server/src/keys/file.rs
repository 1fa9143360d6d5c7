//! The file with what is kept of the keys.

use std::{
    fmt, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use serde::{Deserialize, Serialize};

use super::{AuthLevel, KeysError};

/// The file in the folder of the hubs.
pub(super) const NAME: &str = "keys.json";

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyKind {
    /// Everything.
    Master,
    /// The management API.
    System,
    /// All functions, and the management API.
    Host,
    /// One function.
    Function,
}

impl KeyKind {
    /// What a key of this name is for.
    pub(crate) fn of(name: &str, function: Option<&str>) -> Self {
        match (name, function) {
            (_, Some(_)) => Self::Function,
            ("_master", None) => Self::Master,
            (name, None) if name.ends_with("_extension") => Self::System,
            _ => Self::Host,
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Master => "master",
            Self::System => "system",
            Self::Host => "host",
            Self::Function => "function",
        })
    }
}

/// What is kept of a key: everything but the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Key {
    /// Its name.
    pub name: String,
    /// The function that it is for, if it is for one only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// When it was made, as RFC 3339.
    pub made: String,
    #[serde(with = "as_hex")]
    pub(super) sha256: Vec<u8>,
}

/// By which a change of the file is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    keys: Vec<Key>,
}

impl Key {
    pub(super) fn new(name: &str, function: Option<&str>, sha256: Vec<u8>) -> Self {
        let made = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        Self { name: name.to_owned(), function: function.map(str::to_owned), made, sha256 }
    }

    pub(super) fn is_named(&self, name: &str, function: Option<&str>) -> bool {
        self.name == name && self.function.as_deref() == function
    }

    /// What it is for.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        KeyKind::of(&self.name, self.function.as_deref())
    }

    pub(super) fn is_good_for(&self, level: &AuthLevel) -> bool {
        match (self.kind(), level) {
            (_, AuthLevel::Anonymous) | (KeyKind::Master, _) => true,
            (KeyKind::Host, level) => *level != AuthLevel::Admin,
            (KeyKind::System, level) => *level == AuthLevel::Management,
            (KeyKind::Function, AuthLevel::Function(name)) => self.function.as_ref() == Some(name),
            (KeyKind::Function, _) => false,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&described(&self.name, self.function.as_deref()))
    }
}

impl Stamp {
    /// `None` when there is no file.
    pub(super) fn of(file: &Path) -> Option<Self> {
        let metadata = fs::metadata(file).ok()?;
        Some(Self { modified: metadata.modified().ok(), bytes: metadata.len() })
    }
}

/// A key, in words.
pub(super) fn described(name: &str, function: Option<&str>) -> String {
    match (KeyKind::of(name, function), function) {
        (_, Some(function)) => format!("key `{name}` of the function `{function}`"),
        (KeyKind::Master, _) => "master key".to_owned(),
        (KeyKind::System, _) => format!("system key `{name}`"),
        _ => format!("host key `{name}`"),
    }
}

/// The keys, and by what a change of them is known; none when there is no file.
pub(super) fn read(file: &Path) -> Result<(Option<Stamp>, Vec<Key>), KeysError> {
    // The stamp first: a change in between is then noticed at the next look.
    let stamp = Stamp::of(file);
    let content = match fs::read(file) {
        Ok(bytes) => serde_json::from_slice::<Content>(&bytes)
            .map_err(|error| KeysError::Content { file: file.into(), reason: error.to_string() })?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Content::default(),
        Err(error) => return Err(failed(file)(error)),
    };
    Ok((stamp, content.keys))
}

/// Changes the keys, whole or not at all, and nobody else meanwhile.
pub(super) fn change<T>(
    file: &Path,
    change: impl FnOnce(&mut Vec<Key>) -> Result<T, KeysError>,
) -> Result<T, KeysError> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(failed(folder))?;
    }
    let draft = Draft::begin(file.with_extension("json.tmp"))?;
    let (_, mut keys) = read(file)?;
    let made = change(&mut keys)?;
    let text = serde_json::to_vec_pretty(&Content { keys });
    let text = text.map_err(|error| failed(file)(error.into()))?;
    draft.become_file(file, &text)?;
    Ok(made)
}

/// The next content of the file. While it is there nobody else makes one.
struct Draft {
    path: PathBuf,
    file: fs::File,
    is_done: bool,
}

impl Draft {
    fn begin(path: PathBuf) -> Result<Self, KeysError> {
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(&path) {
            Ok(file) => Ok(Self { path, file, is_done: false }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(KeysError::InUse(path))
            }
            Err(error) => Err(failed(&path)(error)),
        }
    }

    fn become_file(mut self, file: &Path, text: &[u8]) -> Result<(), KeysError> {
        let written = self.file.write_all(text).and_then(|()| self.file.sync_all());
        written.and_then(|()| fs::rename(&self.path, file)).map_err(failed(file))?;
        self.is_done = true;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_done
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(%error, file = %self.path.display(), "remove this file by hand");
        }
    }
}

fn failed(file: &Path) -> impl FnOnce(io::Error) -> KeysError {
    let file = file.to_owned();
    move |error| KeysError::File { file, error }
}

/// Bytes as text.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |number: u8| char::from(DIGITS[usize::from(number)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// A hash in a file.
mod as_hex {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::hex(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        let digits = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let bytes: Option<Vec<_>> = text.as_bytes().chunks(2).map(digits).collect();
        bytes.filter(|bytes| bytes.len() == 32).ok_or_else(|| D::Error::custom("no SHA-256 hash"))
    }
}
