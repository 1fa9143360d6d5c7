//! Many instances at once: all that match are ended, paused, let go on or forgotten, page by page.
//! An addition to the original.

use axum::{http::StatusCode, response::Response};
use futures::{Stream, StreamExt as _, stream};
use serde::Serialize;
use taskhub_core::{Answer, InstanceId, Refusal, RuntimeStatus, Text, Verb, store::Filter};
use taskhub_engine::Hub;

use super::{
    answer,
    call::{Answered, Call, Refused},
    lines::{self, wants_lines},
    list::filter,
    purge::is_meant,
};

/// How many instances are listed at a time; progress is told as often.
const PAGE_COUNT: usize = 500;

/// How many instances are asked at the same time.
const AT_ONCE: usize = 64;

/// What is done to each.
#[derive(Debug, Clone)]
pub(super) enum Batch {
    Terminate { recursive: bool },
    Suspend,
    Resume,
    Purge,
}

/// How far it has come.
#[derive(Debug, Clone, Default, Serialize)]
struct Progress {
    /// So many instances it was done to.
    done: usize,
    /// So many had changed before their turn came, so that it could not be done any more.
    skipped: usize,
    /// Whether these are all.
    complete: bool,
}

/// Where it stands between two pages.
struct Run {
    hub: Hub,
    batch: Batch,
    reason: Option<Text>,
    /// The next page; `None` at the end.
    next: Option<Filter>,
    progress: Progress,
}

impl Batch {
    /// What the path calls it.
    pub(super) fn named(verb: &str, call: &Call) -> Option<Self> {
        let recursive = || call.query.flag("recursive").unwrap_or(false);
        match verb.to_ascii_lowercase().as_str() {
            "terminate" => Some(Self::Terminate { recursive: recursive() }),
            "suspend" => Some(Self::Suspend),
            "resume" => Some(Self::Resume),
            "purge" => Some(Self::Purge),
            _ => None,
        }
    }

    /// The parameters that are its own.
    fn further(&self) -> &'static [&'static str] {
        match self {
            Self::Terminate { .. } => &["recursive"],
            _ => &[],
        }
    }

    fn verb(&self, reason: Option<Text>) -> Verb {
        match self {
            Self::Terminate { recursive } => Verb::Terminate { reason, recursive: *recursive },
            Self::Suspend => Verb::Suspend { reason },
            Self::Resume => Verb::Resume { reason },
            Self::Purge => Verb::Purge,
        }
    }

    /// Whether it can be done to instances that stand so, and are parked or need not be.
    fn suits(&self, status: RuntimeStatus, parked: bool) -> bool {
        match self {
            Self::Terminate { .. } => !status.is_terminal(),
            Self::Suspend => !status.is_terminal() && status != RuntimeStatus::Suspended,
            Self::Resume => parked || status == RuntimeStatus::Suspended,
            Self::Purge => parked || status.is_terminal(),
        }
    }
}

impl Call {
    /// `POST instances/{terminate,suspend,resume,purge}`
    pub(super) async fn batch(self, batch: Batch) -> Answered<Response> {
        if let Some(slip) = self.query.slip(batch.further()) {
            let why = format!("`{slip}` is not known here, or cannot be read");
            return Err(answer::bad_argument(&why).into());
        }
        let mut filter = filter(&self.query)?;
        if filter == Filter::default() {
            let why =
                "say which instances are meant, by a prefix, a tag, a name, a status or a time";
            return Err(answer::bad_argument(&why).into());
        }
        // Instances that begin meanwhile are not meant.
        filter.created_to = filter.created_to.or_else(|| Some(self.hub.now()));
        let asked =
            if filter.statuses.is_empty() { &RuntimeStatus::ALL[..] } else { &filter.statuses };
        filter.statuses =
            asked.iter().copied().filter(|it| batch.suits(*it, filter.stuck)).collect();
        filter.limit = PAGE_COUNT;
        let next = Some(filter).filter(|filter| !filter.statuses.is_empty());
        let (reason, progress) =
            (self.reason()?, Progress { complete: next.is_none(), ..Progress::default() });
        let run = Run { hub: self.hub.clone(), batch, reason, next, progress };
        let pages = run.pages();
        if wants_lines(&self.parts.headers) {
            return Ok(lines::response(pages));
        }
        let mut pages = std::pin::pin!(pages);
        let mut last = Progress { complete: true, ..Progress::default() };
        while let Some(page) = pages.next().await {
            last = page?;
        }
        Ok(answer::json(StatusCode::OK, &last))
    }
}

impl Run {
    /// Tells of the progress after each page.
    fn pages(self) -> impl Stream<Item = Answered<Progress>> + Send + 'static {
        stream::try_unfold(Some(self), |run| async {
            let Some(mut run) = run else { return Ok(None) };
            let Some(filter) = run.next.take() else { return Ok(Some((run.progress, None))) };
            run.page(filter).await?;
            let progress = run.progress.clone();
            let rest = (!progress.complete).then_some(run);
            Ok(Some((progress, rest)))
        })
    }

    async fn page(&mut self, filter: Filter) -> Answered<()> {
        let page = self.hub.query(filter.clone()).await.map_err(answer::unreadable)?;
        let meant = page.instances.iter().filter(|(_, record)| is_meant(&filter, record));
        let (hub, batch, reason) = (&self.hub, &self.batch, &self.reason);
        let asked: Vec<_> = meant.map(|(id, _)| one(hub, id, batch.verb(reason.clone()))).collect();
        let mut asked = stream::iter(asked).buffer_unordered(AT_ONCE);
        let progress = &mut self.progress;
        while let Some(done) = asked.next().await {
            *(if done? { &mut progress.done } else { &mut progress.skipped }) += 1;
        }
        drop(asked);
        self.next = page.next.map(|after| Filter { after: Some(after), ..filter });
        self.progress.complete = self.next.is_none();
        Ok(())
    }
}

/// Whether it could be done.
async fn one(hub: &Hub, id: &InstanceId, verb: Verb) -> Result<bool, Refused> {
    match hub.ask(id.clone(), verb).await {
        Answer::Done => Ok(true),
        Answer::Refused(Refusal::NotFound(_) | Refusal::Ended(..) | Refusal::NotEnded(..)) => {
            Ok(false)
        }
        other => Err(answer::refused(&other).into()),
    }
}
