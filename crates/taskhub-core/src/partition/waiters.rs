//! Requests that wait for an instance to run or to end; they are kept in memory only.

use foldhash::{HashMap, HashMapExt as _};

use crate::{InstanceId, RequestId, RuntimeStatus};

/// Who waits for what.
#[derive(Debug)]
pub(super) struct Waiters {
    /// Every request that waits or will.
    waits: HashMap<RequestId, Waits>,
    /// Those that wait for an end.
    ends: HashMap<InstanceId, Vec<RequestId>>,
    /// Those that wait for a first turn. There are few, if any: a step looks here only then.
    starts: HashMap<InstanceId, Vec<RequestId>>,
}

/// What one of them waits for.
#[derive(Debug)]
struct Waits {
    instance: InstanceId,
    /// Whether it waits though there is no such instance.
    expects: bool,
}

impl Waiters {
    pub(super) fn new() -> Self {
        Self { waits: HashMap::new(), ends: HashMap::new(), starts: HashMap::new() }
    }

    /// A request that will wait has come; its instance may have to be read first.
    pub(super) fn announce(&mut self, request: RequestId, id: &InstanceId, expects: bool) {
        self.waits.insert(request, Waits { instance: id.clone(), expects });
    }

    /// Whether its client still wants the answer.
    pub(super) fn expects(&self, request: RequestId) -> bool {
        self.waits.contains_key(&request)
    }

    /// The instance has not ended: the request waits for its end.
    pub(super) fn until_end(&mut self, request: RequestId, id: InstanceId) {
        self.ends.entry(id).or_default().push(request);
    }

    /// The instance has not begun: the request waits for its first turn.
    pub(super) fn until_start(&mut self, request: RequestId, id: InstanceId) {
        self.starts.entry(id).or_default().push(request);
    }

    /// A request is answered.
    pub(super) fn answered(&mut self, request: RequestId) {
        self.waits.remove(&request);
    }

    /// A client no longer wants its answer.
    pub(super) fn forget(&mut self, request: RequestId) {
        let Some(Waits { instance: id, .. }) = self.waits.remove(&request) else { return };
        for table in [&mut self.ends, &mut self.starts] {
            if let Some(waiters) = table.get_mut(&id) {
                waiters.retain(|waiter| *waiter != request);
                if waiters.is_empty() {
                    table.remove(&id);
                }
            }
        }
    }

    /// Those who have waited long enough for an instance that stands so.
    pub(super) fn reached(&mut self, id: &InstanceId, status: RuntimeStatus) -> Vec<RequestId> {
        let mut reached = Vec::new();
        if !self.starts.is_empty() && status != RuntimeStatus::Pending {
            reached.extend(self.starts.remove(id).into_iter().flatten());
        }
        if status.is_terminal() {
            reached.extend(self.ends.remove(id).into_iter().flatten());
        }
        reached
    }

    /// All who wait for an instance, which is gone, and not for another under its id.
    pub(super) fn abandoned(&mut self, id: &InstanceId) -> Vec<RequestId> {
        let mut abandoned = Vec::new();
        for table in [&mut self.starts, &mut self.ends] {
            let Some(waiters) = table.get_mut(id) else { continue };
            let expects = |waiter: &RequestId| self.waits.get(waiter).is_some_and(|it| it.expects);
            abandoned.extend(waiters.extract_if(.., |waiter| !expects(waiter)));
            if waiters.is_empty() {
                table.remove(id);
            }
        }
        abandoned
    }
}
