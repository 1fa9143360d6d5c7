//! `taskhub list`: instances in a table, or as objects for programs.

use clap::Args;
use taskhub_wire::proto::OrchestrationState;

use super::{
    Failure,
    filters::Filters,
    progress::counter,
    remote::Remote,
    shown::{self, Instance},
};

/// Which instances to list, and how.
#[derive(Debug, Args)]
pub(in crate::cli) struct Flags {
    /// At most so many; 0 for all
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    limit: usize,
    /// Print inputs and outputs too; only JSON has room for them
    #[arg(long, requires = "json")]
    payloads: bool,
    /// Print a JSON object per line, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    remote: Remote,
}

pub(super) async fn run(flags: Flags) -> Result<(), Failure> {
    let limit = if flags.limit == 0 { usize::MAX } else { flags.limit };
    let mut pages = flags.filters.pages(flags.remote.connect().await?, flags.payloads);
    let seen = counter("instances listed", flags.json);
    let (mut rows, mut room) = (Vec::new(), limit);
    let mut is_cut = false;
    while room > 0
        && let Some(mut page) = pages.next().await?
    {
        is_cut = page.len() > room || (page.len() == room && !pages.is_over());
        page.truncate(room);
        room -= page.len();
        seen.inc(u64::try_from(page.len()).unwrap_or_default());
        for state in &page {
            if flags.json {
                shown::line(&Instance::of(state))?;
            } else {
                rows.push(row(state));
            }
        }
    }
    seen.finish_and_clear();
    if !flags.json {
        shown::table(Some(["INSTANCE", "NAME", "STATUS", "CREATED", "UPDATED"]), rows)?;
    }
    if is_cut {
        eprintln!("taskhub: there may be more; `--limit 0` lists all");
    }
    Ok(())
}

fn row(state: &OrchestrationState) -> [String; 5] {
    [
        state.instance_id.clone(),
        state.name.clone(),
        shown::status(state),
        shown::time(state.created_timestamp.as_ref()),
        shown::time(state.last_updated_timestamp.as_ref()),
    ]
}
