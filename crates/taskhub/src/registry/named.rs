//! Functions by name and version.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use taskhub_core::turn::{Functions, Orchestration};

use super::RegistryError;
use crate::versions::{Mismatched, Versions};

/// Functions by name; without regard to case, as the field does. Per name, by version.
pub(super) struct Named<T> {
    exact: HashMap<&'static str, ByVersion<T>>,
    folded: HashMap<String, &'static str>,
}

type ByVersion<T> = BTreeMap<Option<&'static str>, T>;

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self { exact: HashMap::new(), folded: HashMap::new() }
    }
}

impl<T> Named<T> {
    pub(super) fn add(
        &mut self,
        name: &'static str,
        version: Option<&'static str>,
        it: T,
    ) -> Result<(), RegistryError> {
        let known = *self.folded.entry(name.to_lowercase()).or_insert(name);
        match self.exact.entry(known).or_default().insert(version, it) {
            None => Ok(()),
            Some(_) => Err(RegistryError::Twice(name)),
        }
    }

    /// The function of that version; or else the one without a version, which runs them all; or
    /// else, when no version is asked for, the only one there is; or else the one that will do.
    pub(super) fn find(&self, name: &str, version: Option<&str>, rule: Versions) -> Option<&T> {
        let versions = match self.exact.get(name) {
            Some(versions) => versions,
            None => self.exact.get(self.folded.get(&name.to_lowercase())?)?,
        };
        let exactly = versions.iter().find(|(known, _)| **known == version).map(|(_, it)| it);
        let any = || versions.get(&None);
        let only = || match version {
            None if versions.len() == 1 => versions.values().next(),
            _ => None,
        };
        let instead = || rule.instead(versions.iter().map(|(known, it)| (*known, it)), version);
        exactly.or_else(any).or_else(only).or_else(instead)
    }

    /// Each name with the versions that are found here; no versions are all.
    pub(super) fn served<F>(
        &self,
        rule: Versions,
        filter: impl Fn(String, Vec<String>) -> F,
    ) -> Vec<F> {
        let each = self.exact.iter().map(|(name, versions)| {
            let only = (versions.len() == 1).then_some(None);
            let known = versions.keys().copied().chain(only).map(Option::unwrap_or_default);
            let known = known.map(ToOwned::to_owned);
            let all = versions.contains_key(&None) || rule != Versions::matching();
            let known = if all { Vec::new() } else { known.collect() };
            filter((*name).to_owned(), known)
        });
        each.collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &T)> {
        let each = self.exact.iter();
        each.flat_map(|(name, versions)| versions.values().map(|it| (*name, it)))
    }
}

/// Of how many names it is said that nobody runs them.
const MISSED_MAX: usize = 100;

/// What to say of an orchestration that nobody runs.
pub(crate) fn unregistered(name: &str, version: Option<&str>) -> String {
    let version = version.map_or_else(String::new, |it| format!(", version `{it}`"));
    format!(
        "nobody here runs the orchestration `{name}`{version}: register it by \
         `.orchestration(..)`, or start a worker that has it; its instances wait until then"
    )
}

/// The orchestrations of a process.
pub(super) struct Replays {
    functions: Named<Arc<dyn Orchestration>>,
    versions: Versions,
    /// What runs where none of the versions will do: by name, if it is to fail.
    mismatched: Named<Mismatched>,
    /// What was asked for and is not here, where nobody else has it either.
    missed: Option<Mutex<BTreeSet<String>>>,
}

impl Replays {
    pub(super) fn new(
        functions: Named<Arc<dyn Orchestration>>,
        versions: Versions,
        alone: bool,
    ) -> Self {
        let mut mismatched = Named::default();
        if versions.fails() {
            for (name, _) in functions.iter() {
                let _ = mismatched.add(name, None, Mismatched(name));
            }
        }
        Self { functions, versions, mismatched, missed: alone.then(Mutex::default) }
    }

    /// Says once of each name that nobody runs it.
    fn miss(&self, name: &str, version: Option<&str>) {
        let Some(missed) = &self.missed else { return };
        let mut missed = missed.lock().unwrap_or_else(PoisonError::into_inner);
        let news = unregistered(name, version);
        if missed.len() < MISSED_MAX && missed.insert(news.clone()) {
            tracing::warn!("{news}");
        }
    }
}

impl Functions for Replays {
    fn orchestration(&self, name: &str, version: Option<&str>) -> Option<&dyn Orchestration> {
        if let Some(code) = self.functions.find(name, version, self.versions) {
            return Some(&**code);
        }
        let mismatched = self.mismatched.find(name, version, self.versions);
        if mismatched.is_none() {
            self.miss(name, version);
        }
        mismatched.map(|it| it as &dyn Orchestration)
    }
}
