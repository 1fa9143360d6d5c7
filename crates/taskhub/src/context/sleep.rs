//! Sleep that lasts as long as it says, whatever becomes of the process.

use std::{
    pin::Pin,
    task::{Context as Task, Poll},
};

use futures::future::FusedFuture;
use taskhub_core::turn::Pending;

/// A durable sleep, made by [`Context::sleep`](crate::Context::sleep).
#[derive(Debug)]
#[must_use = "nobody sleeps until it is awaited"]
pub struct Sleep {
    pub(super) pending: Pending,
    pub(super) over: bool,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<()> {
        let polled = Pin::new(&mut self.pending).poll(task).map(drop);
        self.over = polled.is_ready();
        polled
    }
}

impl FusedFuture for Sleep {
    fn is_terminated(&self) -> bool {
        self.over
    }
}
