//! Keys: who knows one is let in. They are made by `taskhub keys`, and kept hashed in a folder.
//!
//! A key is 256 random bits, so a plain hash of it tells nothing: there is nothing to guess.

mod file;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::http::{HeaderName, HeaderValue, request::Parts};
use ring::{
    digest::{SHA256, digest},
    rand::{SecureRandom as _, SystemRandom},
};
use subtle::ConstantTimeEq as _;

use file::Stamp;
pub use file::{Key, KeyKind};

/// Where a client puts its key: in this header, or in the query as `code`.
const HEADER: HeaderName = HeaderName::from_static("x-functions-key");

/// How long a change of the file may go unnoticed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The random bytes of a key.
const KEY_BYTES: usize = 32;

/// The keys in a folder. Clones are the same keys; a change by `taskhub keys` is noticed within a
/// second.
#[derive(Clone)]
pub struct Keys {
    inner: Arc<Inner>,
}

struct Inner {
    /// `None`: there are no keys, and there never will be.
    file: Option<PathBuf>,
    known: Mutex<Known>,
}

struct Known {
    looked: Instant,
    stamp: Option<Stamp>,
    keys: Vec<Key>,
}

/// What a key must be good for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthLevel {
    /// Nobody is asked for a key.
    Anonymous,
    /// A key of this function, a host key, or the master key.
    Function(String),
    /// The management API: its system key, a host key, or the master key.
    Management,
    /// The master key only.
    Admin,
}

/// Why keys cannot be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// The file cannot be used.
    #[error(
        "{} cannot be used: {error}; its folder must be one that this user may read and write",
        file.display()
    )]
    File {
        /// The file.
        file: PathBuf,
        /// What the operating system said.
        error: io::Error,
    },
    /// The file holds something else.
    #[error("{} holds no keys: {reason}; restore it, or remove it", file.display())]
    Content {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Somebody else changes the keys.
    #[error("the keys are being changed; if nobody does that, remove {}", .0.display())]
    InUse(PathBuf),
    /// There is one already.
    #[error("there is a {0} already; rotate it to get another one in its place")]
    Exists(String),
    /// There is none.
    #[error("there is no {0}; `taskhub keys list` shows those that are there")]
    Unknown(String),
    /// The name cannot be one.
    #[error("{0:?} is no name for a key; a name has 1 to 64 letters, digits, '-', '_' or '.'")]
    Name(String),
    /// There is no randomness.
    #[error("the operating system gives no random bytes")]
    Random,
}

impl Keys {
    /// No keys at all.
    #[must_use]
    pub fn none() -> Self {
        let known = Known { looked: Instant::now(), stamp: None, keys: Vec::new() };
        Self { inner: Arc::new(Inner { file: None, known: Mutex::new(known) }) }
    }

    /// The keys in a folder: that of a server's hubs, or of one hub. There may be none yet, nor
    /// the folder.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, KeysError> {
        let file = folder.as_ref().join(file::NAME);
        let (stamp, keys) = file::read(&file)?;
        let known = Known { looked: Instant::now(), stamp, keys };
        Ok(Self { inner: Arc::new(Inner { file: Some(file), known: Mutex::new(known) }) })
    }

    /// Makes a key, and tells it this once.
    ///
    /// The name says what it is for: `_master` for everything, one that ends with `_extension`
    /// for the management API, any other for all functions, or for a single one.
    pub fn create(&self, name: &str, function: Option<&str>) -> Result<String, KeysError> {
        self.change(|keys| {
            let (secret, key) = fresh(name, function)?;
            if keys.iter().any(|old| old.is_named(name, function)) {
                return Err(KeysError::Exists(key.to_string()));
            }
            keys.push(key);
            Ok(secret)
        })
    }

    /// Replaces a key by a new one, and tells it this once; the old one is good for nothing from
    /// then on.
    pub fn rotate(&self, name: &str, function: Option<&str>) -> Result<String, KeysError> {
        self.change(|keys| {
            let (secret, key) = fresh(name, function)?;
            let old = keys.iter_mut().find(|old| old.is_named(name, function));
            *old.ok_or_else(|| KeysError::Unknown(file::described(name, function)))? = key;
            Ok(secret)
        })
    }

    /// Removes a key.
    pub fn remove(&self, name: &str, function: Option<&str>) -> Result<(), KeysError> {
        self.change(|keys| {
            let place = keys.iter().position(|old| old.is_named(name, function));
            let unknown = || KeysError::Unknown(file::described(name, function));
            keys.remove(place.ok_or_else(unknown)?);
            Ok(())
        })
    }

    /// All keys, without their secrets, which nobody knows.
    #[must_use]
    pub fn list(&self) -> Vec<Key> {
        self.with(<[Key]>::to_vec)
    }

    /// The folder that they are in, if they are in any.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.inner.file.as_deref()?.parent()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.with(<[Key]>::is_empty)
    }

    /// Tells the log what it means that there are none, if there are none.
    pub fn warn(&self, is_local: bool) {
        if self.is_empty() && is_local {
            tracing::warn!("everybody on this machine may manage instances: there are no keys");
        } else if self.is_empty() {
            tracing::warn!(
                "nobody may manage instances over HTTP: make a key, `taskhub keys create`"
            );
        }
    }

    /// Whether a request has a key that is good enough. How long this takes says nothing about
    /// the keys but how many there are.
    #[must_use]
    pub fn admit(&self, level: &AuthLevel, request: &Parts) -> bool {
        if *level == AuthLevel::Anonymous {
            return true;
        }
        let Some(sent) = sent(request) else { return false };
        let hash = digest(&SHA256, sent.as_bytes());
        self.with(|keys| {
            let good = keys.iter().filter(|key| key.is_good_for(level));
            let same = good.map(|key| key.sha256.as_slice().ct_eq(hash.as_ref()));
            same.fold(subtle::Choice::from(0), |any, one| any | one).into()
        })
    }

    fn with<T>(&self, look: impl FnOnce(&[Key]) -> T) -> T {
        let mut known = self.inner.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &self.inner.file
            && known.looked.elapsed() >= LOOK_EVERY
        {
            known.look(file);
        }
        look(&known.keys)
    }

    fn change<T>(
        &self,
        change: impl FnOnce(&mut Vec<Key>) -> Result<T, KeysError>,
    ) -> Result<T, KeysError> {
        let Some(file) = &self.inner.file else {
            return Err(KeysError::File {
                file: file::NAME.into(),
                error: io::ErrorKind::Unsupported.into(),
            });
        };
        let made = file::change(file, change)?;
        self.inner.known.lock().unwrap_or_else(PoisonError::into_inner).look(file);
        Ok(made)
    }
}

impl Known {
    /// Reads the file again if it has changed. One that cannot be read changes nothing.
    fn look(&mut self, file: &Path) {
        self.looked = Instant::now();
        if Stamp::of(file) == self.stamp {
            return;
        }
        match file::read(file) {
            Ok((stamp, keys)) => (self.stamp, self.keys) = (stamp, keys),
            Err(error) => tracing::error!(%error, "the keys stay as they were"),
        }
    }
}

/// The key that a request brings.
pub(crate) fn sent(request: &Parts) -> Option<String> {
    let header = request.headers.get(&HEADER).map(HeaderValue::to_str);
    let header = header.and_then(Result::ok).map(str::to_owned);
    header.or_else(|| {
        let query = form_urlencoded::parse(request.uri.query()?.as_bytes());
        let mut codes = query.filter(|(name, _)| name.eq_ignore_ascii_case("code"));
        codes.next().map(|(_, code)| code.into_owned())
    })
}

/// A new key: its secret, and what is kept of it.
fn fresh(name: &str, function: Option<&str>) -> Result<(String, Key), KeysError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !(1..=64).contains(&name.len()) || !name.chars().all(plain) {
        return Err(KeysError::Name(name.to_owned()));
    }
    let mut bytes = [0; KEY_BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| KeysError::Random)?;
    let secret = file::hex(&bytes);
    let sha256 = digest(&SHA256, secret.as_bytes()).as_ref().to_vec();
    Ok((secret, Key::new(name, function, sha256)))
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({:?})", self.inner.file)
    }
}

#[cfg(test)]
mod tests;
