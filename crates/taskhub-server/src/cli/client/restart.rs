//! `taskhub restart`: starts an instance that has ended once more, with the same input.

use clap::Args;
use taskhub_wire::proto::RestartInstanceRequest;

use super::{Failure, remote::Remote, start::told};

/// What to start again.
#[derive(Debug, Args)]
pub(in crate::cli) struct Flags {
    /// The id of the instance that has ended
    id: String,
    /// Keep it, and start another one with a fresh id
    #[arg(long)]
    new_id: bool,
    /// Print JSON, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

pub(super) async fn run(flags: Flags) -> Result<(), Failure> {
    let mut link = flags.remote.connect().await?;
    let (instance_id, restart_with_new_instance_id) = (flags.id, flags.new_id);
    let asked = link.request(RestartInstanceRequest { instance_id, restart_with_new_instance_id });
    let id = link.client.restart_instance(asked).await?.into_inner().instance_id;
    Ok(told(&id, flags.json)?)
}
