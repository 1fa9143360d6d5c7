//! Reads one field of a schedule, such as `*/15` or `MON-FRI`, into the set of values it allows.

use super::ncrontab::ScheduleError;

/// What one of the six places of a schedule may hold.
#[derive(Debug)]
pub(crate) struct Field {
    name: &'static str,
    min: u8,
    max: u8,
    /// English names of the values, counted from `first_name`.
    names: &'static [&'static str],
    first_name: u8,
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

const DAYS: [&str; 7] =
    ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

pub(crate) const SECOND: Field = Field::number("second", 0, 59);
pub(crate) const MINUTE: Field = Field::number("minute", 0, 59);
pub(crate) const HOUR: Field = Field::number("hour", 0, 23);
pub(crate) const DAY: Field = Field::number("day of month", 1, 31);
pub(crate) const MONTH: Field =
    Field { name: "month", min: 1, max: 12, names: &MONTHS, first_name: 1 };
/// Sunday is 0 and, as in other crontabs, 7.
pub(crate) const WEEKDAY: Field =
    Field { name: "day of week", min: 0, max: 7, names: &DAYS, first_name: 0 };

/// A set of small numbers: value `v` is in it when bit `v` is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Values(u64);

impl Values {
    const NONE: Self = Self(0);

    pub(crate) fn contains(self, value: u8) -> bool {
        value < 64 && self.0 >> value & 1 == 1
    }

    /// The smallest value that is at least `from`.
    pub(crate) fn at_least(self, from: u8) -> Option<u8> {
        let rest = self.0.checked_shr(u32::from(from)).unwrap_or(0);
        let skipped = u8::try_from(rest.trailing_zeros()).unwrap_or(u8::MAX);
        (rest != 0).then(|| from + skipped)
    }

    pub(crate) fn first(self) -> Option<u8> {
        self.at_least(0)
    }

    pub(crate) fn len(self) -> u32 {
        self.0.count_ones()
    }

    fn insert(&mut self, value: u8) {
        self.0 |= 1 << value;
    }
}

impl Field {
    const fn number(name: &'static str, min: u8, max: u8) -> Self {
        Self { name, min, max, names: &[], first_name: 0 }
    }

    /// Reads a list of values, ranges and steps.
    pub(crate) fn parse(&self, text: &str) -> Result<Values, ScheduleError> {
        let mut values = Values::NONE;
        for item in text.split(',') {
            self.add(item, &mut values).map_err(|problem| ScheduleError::Field {
                field: self.name,
                text: text.to_owned(),
                problem,
            })?;
        }
        Ok(values)
    }

    fn add(&self, item: &str, values: &mut Values) -> Result<(), String> {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(self.step(step)?)),
            None => (item, None),
        };
        let (first, last) = if range == "*" {
            (self.min, self.max)
        } else if let Some((first, last)) = range.split_once('-') {
            self.range(first, last)?
        } else {
            // A single value with a step runs to the end: `5/20` is 5, 25, 45.
            let first = self.value(range)?;
            (first, step.map_or(first, |_| self.max))
        };
        for value in (first..=last).step_by(usize::from(step.unwrap_or(1))) {
            values.insert(if self.wraps(value) { self.min } else { value });
        }
        Ok(())
    }

    fn range(&self, first: &str, last: &str) -> Result<(u8, u8), String> {
        let (from, mut to) = (self.value(first)?, self.value(last)?);
        if to == 0 && self.wraps(self.max) && from > 0 {
            to = self.max;
        }
        if from > to {
            return Err(format!("the range `{first}-{last}` runs backwards; write it as a list"));
        }
        Ok((from, to))
    }

    fn step(&self, text: &str) -> Result<u8, String> {
        let largest = self.max - self.min;
        match number(text) {
            Some(step) if (1..=largest).contains(&step) => Ok(step),
            _ => Err(format!("a step is 1 to {largest}, not `{text}`")),
        }
    }

    fn value(&self, text: &str) -> Result<u8, String> {
        match number(text).or_else(|| self.named(text)) {
            Some(value) if (self.min..=self.max).contains(&value) => Ok(value),
            _ => Err(format!("`{text}` is not allowed; {}", self.allowed())),
        }
    }

    fn named(&self, text: &str) -> Option<u8> {
        let text = text.to_ascii_lowercase();
        let fits = |name: &&str| *name == text || name.get(..3) == Some(&text);
        let index = self.names.iter().position(fits)?;
        Some(self.first_name + u8::try_from(index).ok()?)
    }

    /// Whether the value is a second name for the smallest one, as 7 is for Sunday.
    fn wraps(&self, value: u8) -> bool {
        self.names.len() == 7 && value == 7
    }

    fn allowed(&self) -> String {
        let names = match self.names.len() {
            0 => "",
            7 => " (0 and 7 are Sunday) or a name such as `MON`",
            _ => " or a name such as `JAN`",
        };
        let Self { name, min, max, .. } = self;
        format!("{name} is {min} to {max}{names}; `*`, lists, ranges and steps combine them")
    }
}

/// Digits only: `u8::from_str` would take a sign as well.
fn number(text: &str) -> Option<u8> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(field: &Field, text: &str) -> Vec<u8> {
        let values = field.parse(text).unwrap();
        (0..64).filter(|value| values.contains(*value)).collect()
    }

    fn error(field: &Field, text: &str) -> String {
        field.parse(text).unwrap_err().to_string()
    }

    #[test]
    fn lists_ranges_and_steps_combine() {
        assert_eq!(values(&MINUTE, "7"), [7]);
        assert_eq!(values(&MINUTE, "1,5-7"), [1, 5, 6, 7]);
        assert_eq!(values(&MINUTE, "*/20"), [0, 20, 40]);
        assert_eq!(values(&MINUTE, "5/20"), [5, 25, 45]);
        assert_eq!(values(&MINUTE, "10-20/5,59"), [10, 15, 20, 59]);
        assert_eq!(values(&DAY, "*/10"), [1, 11, 21, 31]);
        assert_eq!(values(&HOUR, "*").len(), 24);
    }

    #[test]
    fn months_and_days_have_english_names_in_any_case() {
        assert_eq!(values(&MONTH, "jan,MAR,June-Aug"), [1, 3, 6, 7, 8]);
        assert_eq!(values(&WEEKDAY, "Mon-FRI"), [1, 2, 3, 4, 5]);
        assert!(error(&HOUR, "MON").contains("hour is 0 to 23"));
        assert!(MONTH.parse("jä").is_err());
    }

    #[test]
    fn sunday_is_0_and_7() {
        assert_eq!(values(&WEEKDAY, "0"), [0]);
        assert_eq!(values(&WEEKDAY, "7"), [0]);
        assert_eq!(values(&WEEKDAY, "*"), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(values(&WEEKDAY, "5-7"), [0, 5, 6]);
        assert_eq!(values(&WEEKDAY, "FRI-SUN"), [0, 5, 6]);
        assert_eq!(values(&WEEKDAY, "SUN-MON"), [0, 1]);
    }

    #[test]
    fn an_error_names_the_field_and_what_is_allowed() {
        assert_eq!(
            error(&MINUTE, "1,60"),
            "minute `1,60`: `60` is not allowed; minute is 0 to 59; \
             `*`, lists, ranges and steps combine them"
        );
        assert_eq!(error(&MINUTE, "*/90"), "minute `*/90`: a step is 1 to 59, not `90`");
        assert!(error(&WEEKDAY, "8").contains("0 to 7 (0 and 7 are Sunday)"));
        assert!(error(&MINUTE, "9-5").contains("runs backwards"));
        for bad in ["", ",", "*/0", "+5", "-1", "1-", "1-2-3", "5/", "/5", "?", "L", "٣", "256"] {
            assert!(SECOND.parse(bad).is_err(), "{bad:?}");
        }
    }
}
