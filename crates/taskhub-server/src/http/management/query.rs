//! What stands in the query of a request, read as leniently as clients are used to.

use std::time::Duration;

use axum::http::Uri;
use jiff::{civil, tz::TimeZone};
use taskhub_core::{RuntimeStatus, Timestamp};

/// What a request about many may have, beside what is its own.
const FILTER: [&str; 11] = [
    "runtimeStatus",
    "instanceIdPrefix",
    "createdTimeFrom",
    "createdTimeTo",
    "name",
    "tag",
    "stuck",
    "reason",
    "taskHub",
    "connection",
    "code",
];

/// The parameters of one request. Names are compared without regard to case; a value that cannot
/// be read counts as absent, since that is what the original does.
#[derive(Debug, Clone, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn of(uri: &Uri) -> Self {
        let query = uri.query().unwrap_or_default();
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// All values of a parameter.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(name));
        named.map(|(_, value)| &**value)
    }

    /// The value of a parameter; several are joined by commas.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let values: Vec<_> = self.all(name).collect();
        (!values.is_empty()).then(|| values.join(","))
    }

    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        match self.text(name)?.trim().to_ascii_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    pub(super) fn count(&self, name: &str) -> Option<usize> {
        self.text(name)?.trim().parse().ok()
    }

    /// Seconds, perhaps with a fraction; negative ones are none at all.
    pub(super) fn seconds(&self, name: &str) -> Option<Duration> {
        let seconds: f64 = self.text(name)?.trim().parse().ok()?;
        Duration::try_from_secs_f64(seconds.max(0.0)).ok()
    }

    /// A point in time in the forms of ISO 8601; UTC if it does not say otherwise.
    pub(super) fn time(&self, name: &str) -> Option<Timestamp> {
        let text = self.text(name)?;
        let text = with_four_digits(text.trim());
        let at = text.parse::<jiff::Timestamp>().ok().or_else(|| {
            let time = text.parse::<civil::DateTime>().ok()?;
            Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
        });
        at.map(|at| Timestamp(at.as_microsecond()))
    }

    /// Statuses by their names or numbers, each once; those that are none are left out.
    pub(super) fn statuses(&self, name: &str) -> Vec<RuntimeStatus> {
        let mut statuses = Vec::new();
        for status in self.words(name).filter_map(status) {
            if !statuses.contains(&status) {
                statuses.push(status);
            }
        }
        statuses
    }

    /// The first parameter of a filter that is not known, is not among the `further` ones, or
    /// cannot be read. Lists leave it out, as the original does; where much would be done to many
    /// by a slip, it is better not to.
    pub(super) fn slip(&self, further: &[&str]) -> Option<String> {
        let is_slip = |(name, value): &&(String, String)| {
            let mut known = FILTER.iter().chain(further);
            known.find(|it| it.eq_ignore_ascii_case(name)).is_none_or(|name| match *name {
                "runtimeStatus" => value.split(',').any(|word| status(word.trim()).is_none()),
                "createdTimeFrom" | "createdTimeTo" => self.time(name).is_none(),
                "stuck" | "recursive" => self.flag(name).is_none(),
                "name" | "instanceIdPrefix" => value.is_empty(),
                _ => false,
            })
        };
        self.0.iter().find(is_slip).map(|(name, value)| format!("{name}={value}"))
    }

    fn words<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.all(name).flat_map(|value| value.split(',')).map(str::trim)
    }
}

/// A time whose year has the digits that it lacks: `strftime` writes the year 1 as it is.
fn with_four_digits(text: &str) -> String {
    let year = text.bytes().take_while(u8::is_ascii_digit).count();
    let lacks =
        if year > 0 && text[year..].starts_with('-') { 4_usize.saturating_sub(year) } else { 0 };
    format!("{}{text}", "0".repeat(lacks))
}

/// A status by its name or number.
fn status(word: &str) -> Option<RuntimeStatus> {
    let named = |status: &RuntimeStatus| {
        format!("{status:?}") == word || status.number().to_string() == word
    };
    RuntimeStatus::ALL.into_iter().find(named)
}

/// A point in time with its fraction of a second, as in histories.
pub(super) fn exact(at: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.0).unwrap_or_default().to_string()
}

/// A point in time in whole seconds, as in statuses.
pub(super) fn in_seconds(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_microsecond(at.0).unwrap_or_default();
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        Query::of(&format!("http://a/b?{text}").parse().expect("a URI"))
    }

    #[test]
    fn names_are_compared_without_regard_to_case() {
        assert_eq!(query("TASKHUB=a&taskhub=b").text("taskHub").as_deref(), Some("a,b"));
    }

    #[test]
    fn what_cannot_be_read_is_absent() {
        let query = query("a=yes&b=12x&c=soon&d=1e400&e=NaN");
        assert_eq!(query.flag("a"), None);
        assert_eq!(query.count("b"), None);
        assert_eq!(query.time("c"), None);
        assert_eq!(query.seconds("d"), None);
        assert_eq!(query.seconds("e"), Some(Duration::ZERO));
    }

    #[test]
    fn a_time_is_read_in_every_usual_form() {
        let whole = Some(Timestamp(1_577_836_800_000_000));
        for text in ["2020-01-01", "2020-01-01T00:00:00", "2020-01-01T00:00:00Z"] {
            assert_eq!(query(&format!("at={text}")).time("at"), whole, "{text}");
        }
        assert_eq!(query("at=2020-01-01T01:00:00%2B01:00").time("at"), whole);
        let exact = Some(Timestamp(1_577_836_800_250_000));
        assert_eq!(query("at=2020-01-01T00:00:00.2500000Z").time("at"), exact);
    }

    #[test]
    fn a_year_may_have_fewer_digits() {
        let first = query("at=0001-01-01T00:00:00Z").time("at");
        assert!(first.is_some());
        assert_eq!(query("at=1-01-01T00:00:00.000000Z").time("at"), first);
        assert_eq!(query("at=-01-01").time("at"), None);
    }

    #[test]
    fn statuses_are_words_or_numbers_and_others_are_left_out() {
        use RuntimeStatus::{Completed, Failed, Running};
        let query = query("s=Completed,running,Failed&s=0,Failed,x");
        assert_eq!(query.statuses("s"), [Completed, Failed, Running]);
    }

    #[test]
    fn times_are_shown_in_the_two_forms_of_the_original() {
        let at = Timestamp(1_577_836_800_250_000);
        assert_eq!(exact(at), "2020-01-01T00:00:00.25Z");
        assert_eq!(in_seconds(at), "2020-01-01T00:00:00Z");
    }
}
