//! The table that a person reads.
use std::fmt::Write;

use crate::points::{Better, Figure, Point};
use crate::results::{Reading, Results};
use crate::systems::Contestant;

/// How wide a column of ratios is.
const RATIO: usize = 7;

/// Everything a run found, as text for a terminal.
pub(crate) fn table(results: &Results, systems: &[&Contestant], points: &[Point]) -> String {
    let subject = subject(systems);
    let (variants, peers): (Vec<&Contestant>, Vec<_>) =
        systems.iter().filter(|it| it.name != subject.name).partition(|it| it.is_variant);
    let mut text = String::new();
    for (beside, are_compared) in [(peers, true), (variants, false)] {
        if !are_compared && beside.is_empty() {
            continue;
        }
        let shown: Vec<_> = [subject].into_iter().chain(beside.iter().copied()).collect();
        let others = if are_compared { beside } else { Vec::new() };
        text += &columns(results, (&shown, subject, &others), points);
        text.push('\n');
    }
    text + &circumstances(results, systems, subject)
}

/// A table of some systems; beside the figures of `others`, how much better the subject is.
fn columns(
    results: &Results,
    (systems, subject, others): (&[&Contestant], &Contestant, &[&Contestant]),
    points: &[Point],
) -> String {
    let entry = |system: &Contestant, words: &str, ratio: &str| {
        let is_compared = others.iter().any(|other| other.name == system.name);
        let (ratio, width) = if is_compared { (ratio, RATIO) } else { ("", 0) };
        format!("{words:>13}{ratio:>width$}")
    };
    let names: String = systems.iter().map(|system| entry(system, system.name, "")).collect();
    let mut lines = vec![format!("{:29}{names}", "")];
    for point in points {
        let cap = point.cap(results.cap_seconds);
        lines.push(point.label.to_owned());
        for figure in point.figures {
            let shown = |reading| match reading {
                Reading::Unfinished if figure.key != point.figures[0].key => "-".to_owned(),
                reading => cell(reading, cap),
            };
            let of = |system: &Contestant| results.reading(system.name, point.key, figure.key);
            if systems.iter().all(|system| of(system) == Reading::Absent) {
                continue;
            }
            let beside = |system| ratio(figure, of(subject), of(system));
            let entries = systems.iter().map(|it| entry(it, &shown(of(it)), &beside(it)));
            lines.push(format!("  {:27}{}", figure.label, entries.collect::<String>()));
        }
    }
    let lines: Vec<_> = lines.iter().map(|line| line.trim_end()).collect();
    lines.join("\n") + "\n"
}

/// The system that the others are compared with: taskhub, or else the first.
fn subject<'a>(systems: &[&'a Contestant]) -> &'a Contestant {
    systems.iter().find(|system| system.name == "taskhub").unwrap_or(&systems[0])
}

fn circumstances(results: &Results, systems: &[&Contestant], subject: &Contestant) -> String {
    let Results { machine, rounds, seconds, cap_seconds, .. } = results;
    let [syncs, idle] = results.given();
    let mut text = format!(
        "\"x\" says how many times better {} is.\n\
         \"> {cap_seconds} s\": not within that time, and given up.\n\
         Rounds: {rounds}, the median of which is shown (W5, W6: once); {seconds} s for each of \
         W1 and\nW2; {:.0} s in all.\n\
         {} cores, {}; commit {}.\n\
         While nothing was measured, the disk took {} to {} appends of 4 KiB with a sync per \
         second,\nand the processor was {:.0} to {:.0} % idle: below 95 % another program was at \
         work, and took from\nthese figures.\n",
        subject.name,
        results.took_seconds,
        machine.cores,
        machine.cpu,
        machine.commit,
        number(syncs.start),
        number(syncs.end),
        idle.start,
        idle.end,
    );
    let notes = systems.iter().map(|system| system.note).filter(|note| !note.is_empty());
    for note in results.server.as_deref().into_iter().chain(notes) {
        let _ = writeln!(text, "{note}");
    }
    for sample in &results.samples {
        if let Err(error) = &sample.found {
            let _ = writeln!(text, "{} failed at {}: {error}", sample.system, sample.point);
        }
    }
    text
}

/// A reading in as few digits as say something; `cap` is when it was given up, in seconds.
pub(crate) fn cell(reading: Reading, cap: u64) -> String {
    match reading {
        Reading::Value(value) => number(value),
        Reading::Unfinished => format!("> {cap} s"),
        Reading::Failed => "failed".to_owned(),
        Reading::Absent => "-".to_owned(),
    }
}

fn ratio(figure: &Figure, subject: Reading, other: Reading) -> String {
    match (figure.better, subject.value(), other.value()) {
        (Better::More, Some(subject), Some(other)) => format!("x{}", number(subject / other)),
        (Better::Less, Some(subject), Some(other)) => format!("x{}", number(other / subject)),
        _ => String::new(),
    }
}

/// Three digits that count, and a comma between thousands.
pub(crate) fn number(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 100.0 || size == 0.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 0.1 => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn a_number_has_three_digits_that_count() {
        let shown = [0.0, 0.023_4, 0.5, 7.316, 42.6, 999.6, 1_234_567.8].map(number);
        assert_eq!(shown, ["0", "0.023", "0.50", "7.32", "42.6", "1,000", "1,234,568"]);
    }
}
