//! Progress on standard error, for people: nothing is drawn where nobody looks.

use std::{
    io::{IsTerminal as _, stdout},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

/// How often it moves though nothing happens.
const TICK: Duration = Duration::from_millis(120);

/// Counts `what` whose number is not known. It stays away when the terminal shows the output as it
/// comes, which moves enough by itself.
pub(super) fn counter(what: &'static str, prints_meanwhile: bool) -> ProgressBar {
    if prints_meanwhile && stdout().is_terminal() {
        return ProgressBar::hidden();
    }
    styled(ProgressBar::new_spinner(), "{spinner} {pos} {msg} ({per_sec}, {elapsed})", what)
}

/// Goes through `count` of `what`. Whoever prints meanwhile does so while it is
/// [suspended](ProgressBar::suspend).
pub(super) fn bar(count: usize, what: &'static str) -> ProgressBar {
    if count < 2 {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(u64::try_from(count).unwrap_or(u64::MAX));
    styled(bar, "{bar:30} {pos}/{len} {msg} ({eta})", what)
}

fn styled(bar: ProgressBar, template: &str, what: &'static str) -> ProgressBar {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(what);
    bar.enable_steady_tick(TICK);
    bar
}
