//! Payloads within a history's text: JSON as it is, and everything else marked as text.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::value::RawValue;
use taskhub_core::Text;

/// A payload, byte for byte, whatever a formatter does to the file around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Payload(pub Text);

/// How a text stands in the file that is no JSON, or is written otherwise than the file would be.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Marked {
    #[serde(rename = "$text")]
    text: String,
}

const MARK: &str = "{\"$text\":";

fn can_stand_alone(text: &str) -> bool {
    let is_json = serde_json::from_str::<&RawValue>(text).is_ok();
    is_json && text != "null" && !text.starts_with(MARK) && compact(text) == text
}

/// Leaves out the space between the tokens of a JSON text.
fn compact(json: &str) -> String {
    let (mut within, mut escaped) = (false, false);
    let keep = |c: &char| {
        let was_within = within;
        match c {
            '"' if !escaped => within = !within,
            _ => {}
        }
        escaped = was_within && *c == '\\' && !escaped;
        was_within || !c.is_ascii_whitespace()
    };
    json.chars().filter(keep).collect()
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.0.to_string();
        if can_stand_alone(&text) {
            RawValue::from_string(text).map_err(ser::Error::custom)?.serialize(serializer)
        } else {
            Marked { text }.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = compact(Box::<RawValue>::deserialize(deserializer)?.get());
        if text.starts_with(MARK) {
            let marked: Marked = serde_json::from_str(&text).map_err(de::Error::custom)?;
            return Ok(Self(marked.text.into()));
        }
        Ok(Self(text.into()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(text: &str) -> String {
        serde_json::to_string(&Payload(text.into())).unwrap()
    }

    #[test]
    fn json_stands_as_it_is_and_other_text_is_marked() {
        assert_eq!(written(r#"{"a":[1.50,"b c"]}"#), r#"{"a":[1.50,"b c"]}"#);
        assert_eq!(written("late"), r#"{"$text":"late"}"#);
        assert_eq!(written("null"), r#"{"$text":"null"}"#);
        assert_eq!(written("[1, 2]"), r#"{"$text":"[1, 2]"}"#);
    }

    #[test]
    fn a_formatter_changes_no_payload() {
        let spaced = "{\n  \"a\" : [ \"b \\\" c\" , 1 ]\n}";
        let read: Payload = serde_json::from_str(spaced).unwrap();
        assert_eq!(&*read.0, r#"{"a":["b \" c",1]}"#);
    }

    proptest! {
        #[test]
        fn every_text_comes_back(
            text in "\\PC{0,20}|[\\[\\]{}\", 0-9\\\\]{0,12}|\\{\"\\$text\":1\\}",
        ) {
            let read: Payload = serde_json::from_str(&written(&text)).unwrap();
            prop_assert_eq!(&*read.0, &*text);
        }
    }
}
