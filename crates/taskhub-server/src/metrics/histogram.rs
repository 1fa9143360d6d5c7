//! Histograms that the hubs keep themselves, in the form that Prometheus reads.

use std::fmt::{Error, Write as _};

use taskhub_engine::Times;

use crate::HubName;

/// Appends one histogram, with what each hub counted.
pub(super) fn render<'a>(
    text: &mut String,
    (name, help): (&str, &str),
    hubs: impl Iterator<Item = (&'a HubName, Times)>,
) -> Result<(), Error> {
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} histogram")?;
    for (hub, times) in hubs {
        for (most, count) in times.at_most() {
            let most = most.as_secs_f64();
            writeln!(text, "{name}_bucket{{hub=\"{hub}\",le=\"{most}\"}} {count}")?;
        }
        let (count, total) = (times.count(), times.total().as_secs_f64());
        writeln!(text, "{name}_bucket{{hub=\"{hub}\",le=\"+Inf\"}} {count}")?;
        writeln!(text, "{name}_sum{{hub=\"{hub}\"}} {total}")?;
        writeln!(text, "{name}_count{{hub=\"{hub}\"}} {count}")?;
    }
    writeln!(text)
}
