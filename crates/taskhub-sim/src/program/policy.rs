//! How a simulated call is tried again: the numbers of a retry policy and of its time limits.

use std::time::Duration;

use taskhub_core::{Tags, Text, Work, turn::Backoff};

use crate::random::Random;

/// How often an activity is tried, and how long that may take. Times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// How many attempts there are at most.
    pub attempts: u32,
    /// The first pause.
    pub first: u32,
    /// How many tenths of a pause the next one lasts.
    pub factor: u32,
    /// How long a pause is at most.
    pub max: u32,
    /// After how long no further attempt begins.
    pub total: Option<u32>,
    /// How long each attempt may take.
    pub attempt: Option<u32>,
    /// How long all may take together.
    pub limit: Option<u32>,
    /// The kind of failures that are not worth another attempt.
    pub spares: Option<&'static str>,
}

impl Policy {
    /// So many attempts, with pauses that grow, and no limits of time.
    pub(super) fn patient(attempts: u32, first: u32) -> Self {
        let (factor, max) = (20, 10 * first);
        let (total, attempt, limit, spares) = (None, None, None, None);
        Self { attempts, first, factor, max, total, attempt, limit, spares }
    }

    pub(super) fn draw(random: &mut Random, attempts: u32, first: u32) -> Self {
        let time = |random: &mut Random, from: u32, most: u32| {
            let more = u32::try_from(random.below(u64::from(most))).unwrap_or(0);
            random.chance(300).then_some(from + more)
        };
        let factor = *random.pick(&[10, 15, 20, 25, 30]);
        let max = first * *random.pick(&[1, 2, 5, 20]);
        let total = time(random, first, 4 * first);
        let attempt = time(random, 2, 40);
        let limit = time(random, first / 2, 8 * first);
        let spares = random.chance(300).then(|| *random.pick(&["Panic", "Broken", TIMEOUT]));
        Self { attempts, first, factor, max, total, attempt, limit, spares }
    }

    /// Whether a failure of this kind is worth another attempt.
    pub(crate) fn wants(&self, kind: &str) -> bool {
        self.spares.is_none_or(|spared| spared != kind)
    }

    /// The same, as the library has it.
    pub(crate) fn backoff(&self) -> Backoff {
        let Self { attempts, first, factor, max, total, .. } = *self;
        let (first, max, total) = (millis(first), millis(max), total.map(millis));
        Backoff { attempts, first, factor: f64::from(factor) / 10.0, max, total }
    }
}

pub(crate) fn millis(count: u32) -> Duration {
    Duration::from_millis(u64::from(count))
}

/// The kind of a failure after which no attempt makes sense, and of running out of time.
pub(crate) const FINAL: &str = "Final";
pub(crate) const TIMEOUT: &str = "Timeout";

/// The label that tells an attempt how far the one before it came.
const PROGRESS: &str = "progress";

/// What an attempt calls, that goes on from there.
pub(crate) fn attempt(input: usize, progress: Option<&Text>) -> Work {
    let tags = progress.map(|progress| Tags::from([(PROGRESS.into(), progress.clone())]));
    Work {
        tags: tags.unwrap_or_default(),
        ..crate::code::work("frail", Some(input.to_string().into()))
    }
}

/// How far the attempt before this one came.
pub(crate) fn progress(work: &Work) -> u64 {
    let told = work.tags.iter().find(|(key, _)| **key == *PROGRESS);
    told.and_then(|(_, progress)| progress.parse().ok()).unwrap_or(0)
}
