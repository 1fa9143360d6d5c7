//! The medians as horizontal bars, in an SVG that reads well on white and on dark.
use std::fmt::Write;

use crate::points::Point;
use crate::report::{cell, number};
use crate::results::{Reading, Results};
use crate::systems::Contestant;

const WIDTH: f64 = 760.0;
/// Where bars begin, and how long the longest is; the rest is for its value.
const LEFT: f64 = 130.0;
const LONGEST: f64 = 480.0;
const BAR: f64 = 13.0;
/// From one bar to the next of the same category.
const STEP: f64 = 17.0;
/// One grey that stands out against both white and near-black.
const TEXT: &str = "#768390";

/// A heading and the bars below it, which share one logarithmic axis.
struct Panel {
    title: &'static str,
    hint: &'static str,
    /// Label, point and figure of each category.
    categories: &'static [(&'static str, &'static str, &'static str)],
}

const PANELS: &[Panel] = &[
    Panel {
        title: "Sync over async: answers per second",
        hint: "longer is better",
        categories: &[
            ("512 clients", "w1.512", "per_second"),
            ("64 clients", "w1.64", "per_second"),
            ("1 client", "w1.1", "per_second"),
        ],
    },
    Panel {
        title: "Chains of 5 activities: orchestrations per second",
        hint: "longer is better",
        categories: &[("64 at a time", "w2", "per_second")],
    },
    Panel {
        title: "Large orchestrations: seconds",
        hint: "shorter is better",
        categories: &[("fan-out of 1,000", "w3", "seconds"), ("2,000 steps", "w4", "seconds")],
    },
    Panel {
        title: "Parked instances: seconds from restart to first answer",
        hint: "shorter is better",
        categories: &[("restart", "w5", "reopen_seconds")],
    },
    Panel {
        title: "Parked instances: bytes of memory for each",
        hint: "shorter is better",
        categories: &[("memory", "w5", "bytes_each")],
    },
];

/// One bar to draw.
struct Bar {
    system: &'static Contestant,
    reading: Reading,
    /// What is written after it.
    text: String,
}

/// Draws what was measured; panels without a measurement are left out.
pub(crate) fn draw(results: &Results, systems: &[&'static Contestant], points: &[Point]) -> String {
    let mut body = String::new();
    let mut y = legend(&mut body, systems);
    for panel in PANELS {
        let shown = |key: &str| points.iter().any(|point| point.key == key);
        let categories = panel.categories.iter().filter(|(_, point, _)| shown(point));
        let groups: Vec<(&str, Vec<Bar>)> = categories
            .map(|(label, point, figure)| (*label, bars(results, systems, point, figure)))
            .filter(|(_, bars)| !bars.is_empty())
            .collect();
        if !groups.is_empty() {
            y = draw_panel(&mut body, panel, &groups, y);
        }
    }
    let [syncs, _] = results.given();
    let under = format!(
        "{} cores, {}; the disk syncs {} to {} times per second; commit {}",
        results.machine.cores,
        escaped(&results.machine.cpu),
        number(syncs.start),
        number(syncs.end),
        results.machine.commit,
    );
    text(&mut body, "small", 0.0, y, &under);
    let height = y + 12.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" role=\"img\" \
         aria-label=\"Taskhub and its peers, measured side by side\">\n{STYLE}{body}</svg>\n"
    )
}

const STYLE: &str = "<style>\n\
    text { font: 13px system-ui, sans-serif; fill: #768390 }\n\
    .title { font-weight: 600; font-size: 14px }\n\
    .small { font-size: 11px }\n\
    .end { text-anchor: end }\n\
    .middle { text-anchor: middle }\n\
    </style>\n";

fn bars(results: &Results, systems: &[&'static Contestant], point: &str, figure: &str) -> Vec<Bar> {
    let (cap, mut bars) = (results.cap_seconds, Vec::new());
    for system in systems {
        let reading = results.reading(system.name, point, figure);
        let parked = results.reading(system.name, point, "parked").value();
        let text = match (reading, parked) {
            (Reading::Absent, _) => continue,
            (Reading::Unfinished, _) => format!("not within {cap} s"),
            (_, Some(parked)) => format!("{} ({} parked)", cell(reading, cap), number(parked)),
            (_, None) => cell(reading, cap),
        };
        bars.push(Bar { system, reading, text });
    }
    bars
}

/// Names the colours; returns where the first panel begins.
fn legend(body: &mut String, systems: &[&Contestant]) -> f64 {
    let mut x = LEFT;
    for system in systems {
        rect(body, x, 4.0, BAR, system.colour);
        text(body, "", x + 18.0, 14.5, system.name);
        x += 110.0;
    }
    48.0
}

/// Draws one panel from `y` downwards; returns where the next begins.
fn draw_panel(body: &mut String, panel: &Panel, groups: &[(&str, Vec<Bar>)], y: f64) -> f64 {
    let Panel { title, hint, .. } = panel;
    text(body, "title", 0.0, y, title);
    text(body, "small end", WIDTH - 2.0, y, &format!("{hint}, log scale"));
    let axis = Axis::of(groups.iter().flat_map(|(_, bars)| bars));
    let top = y + 12.0;
    let mut bars_text = String::new();
    let mut y = top + 4.0;
    for (label, bars) in groups {
        #[expect(clippy::cast_precision_loss, reason = "a handful of bars")]
        let middle = y + STEP * bars.len() as f64 / 2.0 + 2.0;
        text(&mut bars_text, "end", LEFT - 10.0, middle, label);
        for bar in bars {
            draw_bar(&mut bars_text, bar, &axis, y);
            y += STEP;
        }
        y += 8.0;
    }
    let bottom = y - 6.0;
    for power in axis.low..=axis.high {
        let x = axis.x(10_f64.powi(power));
        let line = format!(r#"<path d="M{x:.1} {top}V{bottom}" stroke="{TEXT}""#);
        let _ = writeln!(body, r#"{line} stroke-opacity=".3"/>"#);
        text(body, "small middle", x, bottom + 13.0, &power_of_ten(power));
    }
    body.push_str(&bars_text);
    bottom + 48.0
}

fn draw_bar(body: &mut String, bar: &Bar, axis: &Axis, y: f64) {
    let end = bar.reading.value().map_or(LEFT, |value| axis.x(value));
    rect(body, LEFT, y, end - LEFT, bar.system.colour);
    text(body, "", end + 6.0, y + 11.0, &bar.text);
}

fn text(body: &mut String, class: &str, x: f64, y: f64, words: &str) {
    let _ = writeln!(body, r#"<text class="{class}" x="{x:.1}" y="{y:.1}">{words}</text>"#);
}

fn rect(body: &mut String, x: f64, y: f64, width: f64, colour: &str) {
    let place = format!(r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{BAR}""#);
    let _ = writeln!(body, r#"{place} rx="2" fill="{colour}"/>"#);
}

/// A logarithmic axis between two powers of ten.
struct Axis {
    low: i32,
    high: i32,
}

impl Axis {
    /// The axis that shows these bars, the shortest still visible.
    fn of<'a>(bars: impl Iterator<Item = &'a Bar>) -> Axis {
        let powers: Vec<f64> = bars
            .filter_map(|bar| bar.reading.value())
            .filter(|value| *value > 0.0)
            .map(f64::log10)
            .collect();
        let lowest = powers.iter().copied().reduce(f64::min).unwrap_or(0.0) - 0.15;
        let highest = powers.iter().copied().reduce(f64::max).unwrap_or(1.0);
        #[expect(clippy::cast_possible_truncation, reason = "a power of ten")]
        Axis { low: lowest.floor() as i32, high: highest.ceil() as i32 }
    }

    /// Where `value` lies; all that is below the axis lies at its beginning.
    fn x(&self, value: f64) -> f64 {
        let share = (value.log10() - f64::from(self.low)) / f64::from(self.high - self.low);
        LEFT + LONGEST * share.clamp(0.0, 1.0)
    }
}

fn power_of_ten(power: i32) -> String {
    match power {
        ..0 => format!("{:.1$}", 10_f64.powi(power), power.unsigned_abs() as usize),
        0..3 => format!("{:.0}", 10_f64.powi(power)),
        _ => number(10_f64.powi(power)),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
