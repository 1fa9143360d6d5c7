//! Lists of instances, page by page.

use taskhub_core::{RuntimeStatus, store};

use super::{Place, Status};
use crate::Timestamp;

/// Instances on a page, unless said otherwise.
const PAGE: usize = 100;

/// Which instances to list. What is not said matches all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    pub(super) core: store::Filter,
    /// Where the page begins, if it is not the first.
    pub(super) from: Option<Place>,
}

impl Default for Filter {
    fn default() -> Self {
        Self::new()
    }
}

impl Filter {
    /// All instances, 100 on a page.
    #[must_use]
    pub fn new() -> Self {
        Self { core: store::Filter { limit: PAGE, ..store::Filter::default() }, from: None }
    }

    /// Those with this status; called again, with one of several.
    #[must_use]
    pub fn status(mut self, status: RuntimeStatus) -> Self {
        self.core.statuses.push(status);
        self
    }

    /// Those whose id begins so.
    #[must_use]
    pub fn id_prefix(mut self, prefix: impl AsRef<str>) -> Self {
        self.core.prefix = Some(prefix.as_ref().into());
        self
    }

    /// Those created at this time or later.
    #[must_use]
    pub fn created_from(mut self, time: impl Into<Timestamp>) -> Self {
        self.core.created_from = Some(time.into().core());
        self
    }

    /// Those created before this time.
    #[must_use]
    pub fn created_before(mut self, time: impl Into<Timestamp>) -> Self {
        self.core.created_to = Some(time.into().core());
        self
    }

    /// Those that ended at this time or later.
    #[must_use]
    pub fn completed_from(mut self, time: impl Into<Timestamp>) -> Self {
        self.core.completed_from = Some(time.into().core());
        self
    }

    /// Those that ended before this time.
    #[must_use]
    pub fn completed_before(mut self, time: impl Into<Timestamp>) -> Self {
        self.core.completed_to = Some(time.into().core());
        self
    }

    /// Those with this label; called again, with all of several.
    #[must_use]
    pub fn tag(mut self, key: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.core.tags.push((key.as_ref().into(), value.as_ref().into()));
        self
    }

    /// Those that are parked: they cannot go on until a person helps.
    #[must_use]
    pub fn stuck(mut self) -> Self {
        self.core.stuck = true;
        self
    }

    /// At most so many on a page.
    #[must_use]
    pub fn limit(mut self, count: usize) -> Self {
        self.core.limit = count.max(1);
        self
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The instances on it, oldest first. There may be few, or none, and yet more pages.
    pub instances: Vec<Status>,
    /// What to list next; `None` at the end.
    pub next: Option<Filter>,
}
