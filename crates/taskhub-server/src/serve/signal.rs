//! How a process is asked to end, and made to.
//!
//! Signals are heard on a thread of their own: one that code never gives back, be it a turn or an
//! activity that blocks the runtime, must not keep the process from ending.

use std::{io, process, thread, time::Duration};

use tokio::{runtime::Builder, sync::oneshot, time::timeout};

/// What a process ends with that does not end by itself: as a shell calls the end by Ctrl-C.
const FORCED: i32 = 130;

/// Completes when the process is asked to end: by SIGTERM or Ctrl-C. If it is asked once more, or
/// has not ended `within` this time, it ends at once, with the exit code 130, whatever it does.
pub async fn asked_to_end(within: Duration) {
    let (tell, told) = oneshot::channel();
    let thread = thread::Builder::new().name("taskhub-signals".to_owned());
    if let Err(error) = thread.spawn(move || listen(tell, within)) {
        tracing::warn!(%error, "neither SIGTERM nor Ctrl-C is heard");
    }
    if told.await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn listen(tell: oneshot::Sender<()>, within: Duration) {
    let heard = Builder::new_current_thread().enable_all().build().and_then(|runtime| {
        runtime.block_on(async {
            let mut signals = Signals::new()?;
            signals.next().await;
            let _ = tell.send(());
            if timeout(within, signals.next()).await.is_ok() {
                tracing::warn!("asked to end once more: ending at once");
            } else {
                tracing::error!("not ended within {within:?}: code keeps a thread; ending at once");
            }
            Ok(())
        })
    });
    match heard {
        Ok(()) => process::exit(FORCED),
        Err(error) => {
            let error: io::Error = error;
            tracing::warn!(%error, "neither SIGTERM nor Ctrl-C is heard");
        }
    }
}

/// Both ways to ask; none that comes in between is missed.
#[cfg(unix)]
struct Signals([tokio::signal::unix::Signal; 2]);

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self([signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?]))
    }

    async fn next(&mut self) {
        let [interrupt, terminate] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
