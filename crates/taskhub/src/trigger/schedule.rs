//! Runs a handler whenever a schedule is due, as an orchestration that never ends.

use std::{collections::HashMap, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    handler::Handle,
    ncrontab::{Ncrontab, ScheduleError},
};
use crate::{
    ActivityContext, Client, Context, Event, Failure, Result, State, Timestamp, activity,
    orchestration,
};

/// When to call a handler: an NCRONTAB text with six fields, and a time zone.
///
/// ```
/// use taskhub::trigger::Schedule;
///
/// let nightly: Schedule = "0 0 0 * * *".into();
/// let workdays = Schedule::new("0 30 8 * * MON-FRI").zone("Europe/Berlin").named("morning");
/// ```
///
/// The fields are second, minute, hour, day of month, month and day of week; all of them must hold.
/// Each is `*`, a number or a name (`JAN`, `MON`; Sunday is 0), a range `8-17`, a list `1,15`, or
/// has a step `*/10`.
///
/// Where clocks change, a schedule for every hour follows elapsed time. One that names hours keeps
/// to the calendar: what falls into a skipped hour is due once, as the clocks jump, and what falls
/// into a repeated hour is due the first time only.
#[derive(Debug, Clone)]
pub struct Schedule {
    pub(crate) text: String,
    pub(crate) zone: String,
    pub(crate) name: Option<String>,
}

impl Schedule {
    /// A schedule in UTC, named after its handler.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), zone: "UTC".into(), name: None }
    }

    /// In which time zone its fields are meant: an IANA name such as `Europe/Berlin`.
    #[must_use]
    pub fn zone(mut self, zone: impl Into<String>) -> Self {
        self.zone = zone.into();
        self
    }

    /// What it is called, instead of what its handler is called: its instance is
    /// `schedule:<name>`. A schedule that keeps its name keeps its place when the program changes.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

impl Schedule {
    /// When it is due next, later than `after`; `None` only near the year 9999. The hub does not
    /// need to be asked: this is for those who want to see whether a text means what they mean.
    ///
    /// ```
    /// use taskhub::{Timestamp, trigger::Schedule};
    ///
    /// # fn main() -> Result<(), taskhub::trigger::ScheduleError> {
    /// let workdays = Schedule::new("0 30 8 * * MON-FRI").zone("Europe/Berlin");
    /// let friday_noon: i64 = 1_767_956_400_000_000;
    /// let monday = workdays.next_after(Timestamp::from_micros(friday_noon))?;
    /// assert_eq!(monday.map(|at| at.to_string()).as_deref(), Some("2026-01-12T07:30:00.000000Z"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn next_after(&self, after: Timestamp) -> Result<Option<Timestamp>, ScheduleError> {
        Ok(Ncrontab::parse(&self.text, &self.zone)?.next_after(after))
    }
}

impl From<&str> for Schedule {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

/// A time that a schedule came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Occurrence {
    /// When it was due.
    pub due: Timestamp,
    /// Whether it is late, by more than a second: nothing ran at the time, or the last run took so
    /// long. However many occurrences were missed, this one stands for all of them.
    pub past_due: bool,
    /// When it is due again.
    pub next: Option<Timestamp>,
}

impl Occurrence {
    /// An occurrence in time, such as a test of a handler needs.
    #[must_use]
    pub fn new(due: Timestamp) -> Self {
        Self { due, past_due: false, next: None }
    }
}

/// How late an occurrence may be and still count as in time.
const TOLERANCE: Duration = Duration::from_secs(1);

/// A schedule that waits: the input of its orchestration, in every execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    pub(crate) name: String,
    pub(crate) schedule: String,
    pub(crate) zone: String,
    pub(crate) next: Timestamp,
}

/// Raised by a process whose program has another schedule under the same name.
pub(crate) const CHANGED: Event<Waiting> = Event::new("schedule_changed");

/// An occurrence on its way to the handler.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tick {
    name: String,
    due: Timestamp,
    past_due: bool,
}

/// What a program does on schedules, by their names.
#[derive(Debug, Clone, Default)]
pub(crate) struct Schedules(pub(crate) Arc<HashMap<String, Scheduled>>);

#[derive(Debug)]
pub(crate) struct Scheduled {
    pub(crate) ncrontab: Ncrontab,
    pub(crate) handle: Handle<Occurrence>,
}

/// Waits for the next occurrence, runs the handler, and begins anew: so there are never two at a
/// time. What was missed is one late timer, so it is one run.
///
/// Time zones are looked up in activities only: their rules change with time, and a replay must
/// come to what the history says.
#[orchestration(name = "taskhub.schedule")]
pub(crate) async fn keep_schedule(ctx: Context, waiting: Waiting) -> Result<String> {
    ctx.set_custom_status(&waiting);
    let changed = tokio::select! {
        () = ctx.sleep_until(waiting.next) => None,
        changed = ctx.event(CHANGED) => Some(changed?),
    };
    if let Some(changed) = changed {
        return ctx.continue_as_new(keep_schedule, changed);
    }
    let (name, due) = (waiting.name.clone(), waiting.next);
    let past_due = ctx.now() - due > TOLERANCE;
    let tick = Tick { name: name.clone(), due, past_due };
    let mut patience = PATIENCE_COUNT;
    let run = || ctx.call(run_scheduled, tick.clone());
    if let Err(failure) = known(&ctx, &mut patience, run).await {
        tracing::error!(schedule = name, %failure, "a schedule's handler failed; it goes on");
    }
    match known(&ctx, &mut patience, || ctx.call(next_due, name.clone())).await {
        Ok(Some(next)) => ctx.continue_as_new(keep_schedule, Waiting { next, ..waiting }),
        Err(failure) if failure.kind() != UNKNOWN => Err(failure),
        _ => Ok("the program has no such schedule any more".to_owned()),
    }
}

/// Where several nodes are updated one after another, some know a schedule before others do: what
/// came to one that does not is tried again so often, after such a pause each time.
const PATIENCE_COUNT: u32 = 60;
const UNKNOWN_PAUSE: Duration = Duration::from_mins(1);

/// The kind of the failure where the program knows no schedule of that name.
const UNKNOWN: &str = "taskhub.UnknownSchedule";

/// What a call comes to where the program knows the schedule, if it comes there in time.
async fn known<T, C>(ctx: &Context, patience: &mut u32, call: impl Fn() -> C) -> Result<T>
where
    C: IntoFuture<Output = Result<T>>,
{
    loop {
        let done = call().await;
        let is_unknown = done.as_ref().is_err_and(|failure| failure.kind() == UNKNOWN);
        if !is_unknown || *patience == 0 {
            return done;
        }
        *patience -= 1;
        ctx.sleep(UNKNOWN_PAUSE).await;
    }
}

fn unknown(name: &str) -> Failure {
    Failure::new(UNKNOWN, format!("no schedule is called `{name}`")).no_retry()
}

#[activity(name = "taskhub.schedule.run")]
pub(crate) async fn run_scheduled(
    schedules: State<Schedules>,
    hub: Client,
    context: ActivityContext,
    tick: Tick,
) -> Result<()> {
    let Some(scheduled) = schedules.0.0.get(&tick.name) else {
        return Err(unknown(&tick.name));
    };
    let next = scheduled.ncrontab.next_after(hub.now());
    let occurrence = Occurrence { due: tick.due, past_due: tick.past_due, next };
    scheduled.handle.call(occurrence, &context).await
}

#[activity(name = "taskhub.schedule.next")]
pub(crate) async fn next_due(
    schedules: State<Schedules>,
    hub: Client,
    name: String,
) -> Result<Option<Timestamp>> {
    let scheduled = schedules.0.0.get(&name).ok_or_else(|| unknown(&name))?;
    Ok(scheduled.ncrontab.next_after(hub.now()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Run;

    const HOUR: Duration = Duration::from_hours(1);

    /// A schedule that is due an hour after the run begins, which is at this time.
    fn waiting(run_begins: Timestamp) -> Waiting {
        let (name, schedule) = ("nightly".to_owned(), "0 0 0 * * *".to_owned());
        Waiting { name, schedule, zone: "UTC".to_owned(), next: run_begins + HOUR }
    }

    fn noon() -> Timestamp {
        Run::of(keep_schedule).input(waiting(Timestamp::from_micros(0))).now()
    }

    fn tick(due: Timestamp, past_due: bool) -> Tick {
        Tick { name: "nightly".to_owned(), due, past_due }
    }

    #[test]
    fn a_handler_runs_when_it_is_due_and_again_when_it_is_due_again() {
        let noon = noon();
        let mut run = Run::of(keep_schedule).at(noon).input(waiting(noon));
        for hour in 1..=3 {
            assert_eq!(run.open_calls().len(), 1, "it waits");
            run.advance(HOUR);
            run.expect(run_scheduled).given(tick(noon + HOUR * hour, false)).returns(());
            run.expect(next_due).returns(Some(noon + HOUR * (hour + 1)));
        }
        let shown: Waiting = run.custom_status().unwrap();
        assert_eq!(shown.next, noon + HOUR * 4);
    }

    #[test]
    fn what_was_missed_runs_once_at_once_and_says_so() {
        let noon = noon();
        let yesterday = noon + HOUR;
        let mut run = Run::of(keep_schedule).at(noon + HOUR * 72).input(waiting(noon));
        run.advance(Duration::ZERO);
        run.expect(run_scheduled).given(tick(yesterday, true)).returns(());
        run.expect(next_due).returns(Some(noon + HOUR * 84));
        assert_eq!(run.open_calls().len(), 1, "nothing runs until it is due again");
    }

    #[test]
    fn a_handler_that_fails_does_not_end_its_schedule() {
        let noon = noon();
        let mut run = Run::of(keep_schedule).at(noon).input(waiting(noon));
        run.advance(HOUR);
        run.expect(run_scheduled).fails(Failure::terminal("no disk"));
        run.expect(next_due).returns(Some(noon + HOUR * 2));
        run.advance(HOUR);
        run.expect(run_scheduled).given(tick(noon + HOUR * 2, false)).returns(());
    }

    #[test]
    fn a_changed_schedule_takes_over() {
        let noon = noon();
        let mut run = Run::of(keep_schedule).at(noon).input(waiting(noon));
        let next = noon + HOUR / 2;
        run.raise(CHANGED, Waiting { schedule: "0 30 * * * *".to_owned(), next, ..waiting(noon) });
        run.advance(HOUR / 2);
        run.expect(run_scheduled).given(tick(next, false)).returns(());
    }

    #[test]
    fn a_schedule_that_this_node_does_not_know_yet_waits_for_one_that_does() {
        let noon = noon();
        let mut run = Run::of(keep_schedule).at(noon).input(waiting(noon));
        run.advance(HOUR);
        run.expect(run_scheduled).fails(unknown("nightly"));
        run.advance(UNKNOWN_PAUSE);
        run.expect(run_scheduled).given(tick(noon + HOUR, false)).returns(());
        run.expect(next_due).fails(unknown("nightly"));
        run.advance(UNKNOWN_PAUSE);
        run.expect(next_due).returns(Some(noon + HOUR * 2));
        run.advance(UNKNOWN_PAUSE * 58);
        run.expect(run_scheduled).given(tick(noon + HOUR * 2, false)).returns(());
    }

    #[test]
    fn a_schedule_that_no_program_has_any_more_ends_after_a_while() {
        let noon = noon();
        let mut run = Run::of(keep_schedule).at(noon).input(waiting(noon));
        run.advance(HOUR);
        for _ in 0..PATIENCE_COUNT {
            run.expect(run_scheduled).fails(unknown("nightly"));
            run.advance(UNKNOWN_PAUSE);
        }
        run.expect(run_scheduled).fails(unknown("nightly"));
        run.expect(next_due).fails(unknown("nightly"));
        assert!(run.output().unwrap().contains("no such schedule any more"));
    }
}
