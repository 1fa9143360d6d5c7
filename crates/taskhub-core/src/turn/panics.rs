//! Panics of orchestrations: caught where the code is called, with the line where they began.

use std::{
    any::Any,
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook},
    sync::Once,
};

use crate::{Failure, Text};

thread_local! {
    /// Where the last panic here began; what is caught does not say.
    static PLACE: Cell<Option<String>> = const { Cell::new(None) };
}

/// Calls code of an orchestration. If it panics: what to say about that.
pub(super) fn caught<T>(code: impl FnOnce() -> T) -> Result<T, Text> {
    catch_unwind(AssertUnwindSafe(code)).map_err(|panic| said(&*panic, PLACE.take()))
}

/// From now on it is noted where panics begin. The hook that was there before is called as ever.
pub(super) fn note_places() {
    static NOTED: Once = Once::new();
    NOTED.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |panic| {
            PLACE.set(panic.location().map(ToString::to_string));
            before(panic);
        }));
    });
}

fn said(panic: &(dyn Any + Send), place: Option<String>) -> Text {
    let message = Failure::panic("the orchestration", panic).message;
    let place = place.map(|place| format!(" (at {place})")).unwrap_or_default();
    let is_stray = STRAYED.iter().any(|sentence| message.contains(sentence));
    format!("{message}{place}{}", if is_stray { STRAY } else { "" }).into()
}

/// What tokio says where there is no runtime, or one without what was asked for.
const STRAYED: [&str; 2] = ["there is no reactor running", "A Tokio 1.x context was found, but"];

const STRAY: &str = "; an orchestration must not do I/O or use tokio's timers: put that into an \
    activity, or use ctx.sleep; then resume the instance";
