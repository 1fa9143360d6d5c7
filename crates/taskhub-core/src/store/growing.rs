//! A page of a list while it is filled: it ends by its number of instances, or by its bytes.

use super::{Cursor, Filter, Page};
use crate::{InstanceId, Record};

/// Bytes of outputs and custom statuses that a page has; its last instance may go beyond.
pub const PAGE_BYTES_MAX: usize = 8 << 20;

/// A page that is being filled.
#[derive(Debug, Default)]
pub struct Growing {
    page: Page,
    bytes: usize,
}

impl Growing {
    /// Whether nothing more is to be added.
    #[must_use]
    pub fn is_full(&self, filter: &Filter) -> bool {
        self.page.instances.len() == filter.limit || self.bytes > PAGE_BYTES_MAX
    }

    /// Adds an instance.
    pub fn add(&mut self, id: InstanceId, record: Record) {
        let output = record.outcome.as_ref().and_then(|outcome| outcome.as_ref().ok()?.as_ref());
        let texts = [output, record.custom_status.as_ref()];
        self.bytes += texts.into_iter().flatten().map(|text| text.len()).sum::<usize>();
        self.page.instances.push((id, record));
    }

    /// The page, behind which the list goes on there, if it does.
    #[must_use]
    pub fn ends(self, next: Option<Cursor>) -> Page {
        Page { next, ..self.page }
    }
}
