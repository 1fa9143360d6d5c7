//! Which instances are meant: by status, prefix and time, page by page.

use clap::{Args, ValueEnum};
use jiff::{Span, Timestamp, Zoned};
use taskhub_wire::proto::{
    InstanceQuery, OrchestrationState, OrchestrationStatus, QueryInstancesRequest,
};

use super::{Failure, remote::Link};

/// How many instances are asked for at a time.
const PAGE_COUNT: i32 = 500;

/// Which instances; what is not said does not matter.
#[derive(Debug, Args)]
#[command(next_help_heading = "Which instances")]
pub(super) struct Filters {
    /// Only these statuses
    #[arg(long, value_name = "STATUS", value_delimiter = ',')]
    pub status: Vec<StatusName>,
    /// Only what is parked: its code panics, or does not fit its history
    #[arg(long)]
    pub parked: bool,
    /// Only ids that begin so
    #[arg(long, value_name = "TEXT")]
    prefix: Option<String>,
    /// Only what was created then or later: a time such as 2026-01-31T12:00:00Z, or how long ago,
    /// such as 90m or 7d
    #[arg(long, value_name = "TIME", value_parser = time)]
    created_after: Option<Timestamp>,
    /// Only what was created before that
    #[arg(long, value_name = "TIME", value_parser = time)]
    created_before: Option<Timestamp>,
}

/// A status by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum StatusName {
    Running,
    Completed,
    Failed,
    Canceled,
    Terminated,
    Pending,
    Suspended,
}

impl StatusName {
    /// Those of instances that have ended.
    pub(super) const ENDED: [Self; 4] =
        [Self::Completed, Self::Failed, Self::Canceled, Self::Terminated];

    fn status(self) -> OrchestrationStatus {
        match self {
            Self::Running => OrchestrationStatus::Running,
            Self::Completed => OrchestrationStatus::Completed,
            Self::Failed => OrchestrationStatus::Failed,
            Self::Canceled => OrchestrationStatus::Canceled,
            Self::Terminated => OrchestrationStatus::Terminated,
            Self::Pending => OrchestrationStatus::Pending,
            Self::Suspended => OrchestrationStatus::Suspended,
        }
    }
}

/// Whether nothing can happen to an instance any more.
pub(super) fn has_ended(state: &OrchestrationState) -> bool {
    let status = state.orchestration_status();
    StatusName::ENDED.iter().any(|ended| ended.status() == status)
}

impl Filters {
    /// Whether they let everything through.
    pub(super) fn is_any(&self) -> bool {
        let Self { status, parked, prefix, created_after, created_before } = self;
        let always = created_after.is_none() && created_before.is_none();
        status.is_empty() && !parked && prefix.is_none() && always
    }

    /// The pages of what matches; `payloads` says whether inputs and outputs come along.
    pub(super) fn pages(self, link: Link, payloads: bool) -> Pages {
        let query = InstanceQuery {
            runtime_status: self.status.into_iter().map(|it| it.status().into()).collect(),
            created_time_from: self.created_after.map(out),
            created_time_to: self.created_before.map(out),
            instance_id_prefix: self.prefix,
            max_instance_count: PAGE_COUNT,
            fetch_inputs_and_outputs: payloads,
            stuck: self.parked,
            ..InstanceQuery::default()
        };
        Pages { link, query: Some(query) }
    }
}

/// Pages of instances, in the order of their creation.
pub(super) struct Pages {
    link: Link,
    /// `None` behind the last page.
    query: Option<InstanceQuery>,
}

impl Pages {
    /// The next page; one may be empty. `None`: that were all.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<OrchestrationState>>, Failure> {
        let Some(mut query) = self.query.take() else { return Ok(None) };
        let request = QueryInstancesRequest { query: Some(query.clone()) };
        let asked = self.link.request(request);
        let page = self.link.client.query_instances(asked).await?.into_inner();
        if page.continuation_token.is_some() {
            query.continuation_token = page.continuation_token;
            self.query = Some(query);
        }
        Ok(Some(page.orchestration_state))
    }

    /// Whether there is no further page.
    pub(super) fn is_over(&self) -> bool {
        self.query.is_none()
    }
}

/// A point in time, or how long ago it was.
pub(super) fn time(text: &str) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    let ago: Span = text.parse().map_err(|_| {
        format!("{text:?} is neither a time like 2026-01-31T12:00:00Z nor a duration like 90m")
    })?;
    let at = Zoned::now().checked_sub(ago.abs()).map_err(|error| error.to_string())?;
    Ok(at.timestamp())
}

/// A point in time for the server.
pub(super) fn out(at: Timestamp) -> prost_types::Timestamp {
    let (mut seconds, mut nanos) = (at.as_second(), at.subsec_nanosecond());
    if nanos < 0 {
        (seconds, nanos) = (seconds - 1, nanos + 1_000_000_000);
    }
    prost_types::Timestamp { seconds, nanos }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_as_such_or_as_how_long_ago() {
        assert_eq!(time("2026-01-31T12:00:00Z").map(Timestamp::as_second), Ok(1_769_860_800));
        let ago = Timestamp::now().as_second() - time("90m").unwrap().as_second();
        assert!((5_400..5_460).contains(&ago), "{ago}");
        assert!(time("7d").is_ok());
        assert!(time("yesterday").is_err());
    }

    #[test]
    fn nanoseconds_are_never_negative_for_the_server() {
        let at = Timestamp::from_millisecond(-1_500).unwrap();
        assert_eq!(out(at), prost_types::Timestamp { seconds: -2, nanos: 500_000_000 });
    }
}
