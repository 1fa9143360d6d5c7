//! W6, held requests: what each costs in memory while thousands of them wait for their answers.
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::callers::{self, Asked};
use crate::process::resident_bytes;
use crate::{Door, Figures, Pace, Place, Result, System};

/// Held before anything counts, as a part of all: caches, and the buffers of those that come.
const FIRST_PART: usize = 5;

/// Open files that are needed beside those of the requests.
const FILES_SPARED: usize = 200;

/// How long memory that was needed only for a moment takes to come back.
const SETTLING: Duration = Duration::from_secs(2);

/// Yields `held` and `bytes_each`, what each further request added to the memory of the server.
pub(crate) async fn run<S: System>(
    at: &Place,
    (door, http2): (Door, bool),
    requests: usize,
    pace: Pace,
) -> Result<Figures> {
    let files = usize::try_from(rlimit::increase_nofile_limit(u64::MAX)?).unwrap_or(usize::MAX);
    let room = if http2 { usize::MAX } else { files.saturating_sub(FILES_SPARED) };
    let requests = requests.min(room);
    let server = S::hold(at, door).await?;
    let first = requests / FIRST_PART;
    let latest = Instant::now() + pace.cap;
    let mut open = Vec::new();
    let mut resident = Vec::new();
    for (more, all) in [(first, first), (requests - first, requests)] {
        open.push(callers::start(&Asked {
            server: server.address,
            method: server.method.to_owned(),
            path: server.path.clone(),
            http2,
            requests: more,
        })?);
        while (server.held)() < all {
            if Instant::now() > latest {
                return Ok(Figures { unfinished: true, ..Figures::default() });
            }
            sleep(Duration::from_millis(20)).await;
        }
        sleep(SETTLING).await;
        resident.push(resident_bytes()?);
    }
    #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
    let (further, held) = ((requests - first) as f64, (server.held)() as f64);
    let each = (resident[1] - resident[0]).max(0.0) / further;
    Ok(Figures::default().with("held", held).with("bytes_each", each))
}
