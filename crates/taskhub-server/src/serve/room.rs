//! How much may be in memory of what comes and of what goes: of one connection, and of all.
//!
//! Over HTTP/2 a client makes thousands of calls at a time, and says how much it takes of each
//! answer. One that sends halves of requests, or reads no answers, would fill the memory. What is
//! small is not counted: of calls there are only so many.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What is no larger is not counted.
pub(super) const SMALL_BYTES: usize = 16 << 10;

/// So many connections may have all that one may have.
const FULL_COUNT: usize = 4;

/// The room of one connection, in that of all. Clones are the same room.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    own: Arc<Semaphore>,
    all: Arc<Semaphore>,
    kib_max: u32,
}

/// Room for something, until this is dropped.
#[derive(Debug)]
pub(super) struct Taken {
    own: OwnedSemaphorePermit,
    all: OwnedSemaphorePermit,
}

/// There is no room for any more.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error(
    "what this connection has sent and not finished, or not read, is too large together; see \
     `limits.connection_bytes`"
)]
pub(super) struct Full;

impl Room {
    /// Room for so many bytes on each connection.
    pub(super) fn new(bytes: usize) -> Self {
        let kib_max = u32::try_from(bytes >> 10).unwrap_or(u32::MAX).max(1);
        let kib = usize::try_from(kib_max).unwrap_or(usize::MAX);
        let all = kib.saturating_mul(FULL_COUNT).min(Semaphore::MAX_PERMITS);
        let own = kib.min(Semaphore::MAX_PERMITS);
        Self { own: Arc::new(Semaphore::new(own)), all: Arc::new(Semaphore::new(all)), kib_max }
    }

    /// The room of another connection.
    pub(super) fn of_another(&self) -> Self {
        let kib = usize::try_from(self.kib_max).unwrap_or(usize::MAX);
        let own = Arc::new(Semaphore::new(kib.min(Semaphore::MAX_PERMITS)));
        Self { own, ..self.clone() }
    }

    /// Room for so many bytes more than `taken` has. There is always room for one thing alone,
    /// however large it is.
    pub(super) fn take(&self, bytes: usize, taken: &mut Option<Taken>) -> Result<(), Full> {
        let has = taken.as_ref().map_or(0, |taken| taken.own.num_permits());
        let has = u32::try_from(has).unwrap_or(u32::MAX);
        let wanted = u32::try_from(bytes.div_ceil(1 << 10)).unwrap_or(u32::MAX);
        let kib = wanted.min(self.kib_max.saturating_sub(has));
        let own = self.own.clone().try_acquire_many_owned(kib).map_err(|_| Full)?;
        let all = self.all.clone().try_acquire_many_owned(kib).map_err(|_| Full)?;
        match taken {
            Some(taken) => {
                taken.own.merge(own);
                taken.all.merge(all);
            }
            None => *taken = Some(Taken { own, all }),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn one_connection_has_so_much_and_all_have_four_times_that() {
        let room = Room::new(8 * MIB);
        let mut all = vec![];
        for _ in 0..FULL_COUNT {
            let (own, mut taken) = (room.of_another(), None);
            own.take(5 * MIB, &mut taken).expect("there is room");
            own.take(3 * MIB, &mut taken).expect("there is room");
            assert!(own.take(MIB, &mut None).is_err());
            all.push(taken);
        }
        assert!(room.of_another().take(MIB, &mut None).is_err(), "all have taken all");
        all.pop();
        room.of_another().take(8 * MIB, &mut None).expect("there is room again");
    }

    #[test]
    fn what_is_larger_than_all_the_room_has_room_alone() {
        let (room, mut taken) = (Room::new(MIB), None);
        for _ in 0..3 {
            room.take(MIB, &mut taken).expect("it is alone");
        }
        assert!(room.take(MIB, &mut None).is_err());
    }
}
