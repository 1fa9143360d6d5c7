//! What a failure carries beside its text: a map of values outside, a JSON object inside.

use std::collections::BTreeMap;

use prost_types::{ListValue, Struct, Value, value::Kind};
use serde_json::{Map, Number, Value as Json};
use taskhub_core::Text;

/// How deep values may be nested that are sent; what lies deeper is sent as text. Readers of
/// protobuf refuse more than 100 levels, and a value takes three of them.
const DEPTH_MAX: usize = 12;

/// What comes from outside, as a JSON object; none if there is nothing.
pub(crate) fn details_in(wire: BTreeMap<String, Value>) -> Option<Text> {
    let object = Struct { fields: wire };
    (!object.fields.is_empty()).then(|| object_in(object).to_string().into())
}

fn object_in(wire: Struct) -> Json {
    wire.fields.into_iter().map(|(key, value)| (key, value_in(value))).collect::<Map<_, _>>().into()
}

fn value_in(wire: Value) -> Json {
    match wire.kind {
        None | Some(Kind::NullValue(_)) => Json::Null,
        Some(Kind::BoolValue(value)) => value.into(),
        Some(Kind::NumberValue(value)) => number_in(value),
        Some(Kind::StringValue(value)) => value.into(),
        Some(Kind::ListValue(list)) => list.values.into_iter().map(value_in).collect(),
        Some(Kind::StructValue(object)) => object_in(object),
    }
}

/// Outside there are no integers; readers of JSON who want one take no fraction for it. And JSON
/// knows no infinity.
fn number_in(value: f64) -> Json {
    /// Up to here every integer is a number of its own.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() < EXACT_MAX {
        #[expect(clippy::cast_possible_truncation, reason = "it is an integer, and small enough")]
        return (value as i64).into();
    }
    Number::from_f64(value).map_or(Json::Null, Json::Number)
}

/// What is known inside, for the outside; what is no JSON object is not sent.
pub(crate) fn details_out(details: Option<&str>) -> BTreeMap<String, Value> {
    match details.map(serde_json::from_str) {
        Some(Ok(Json::Object(object))) => object_out(object, 0).fields,
        _ => BTreeMap::new(),
    }
}

fn object_out(object: Map<String, Json>, depth: usize) -> Struct {
    let fields = object.into_iter().map(|(key, value)| (key, value_out(value, depth + 1)));
    Struct { fields: fields.collect() }
}

fn value_out(value: Json, depth: usize) -> Value {
    let kind = match value {
        Json::Null => Kind::NullValue(0),
        Json::Bool(value) => Kind::BoolValue(value),
        Json::Number(value) => Kind::NumberValue(value.as_f64().unwrap_or(f64::NAN)),
        Json::String(value) => Kind::StringValue(value),
        deep if depth >= DEPTH_MAX => Kind::StringValue(deep.to_string()),
        Json::Array(list) => {
            let values = list.into_iter().map(|value| value_out(value, depth + 1)).collect();
            Kind::ListValue(ListValue { values })
        }
        Json::Object(object) => Kind::StructValue(object_out(object, depth)),
    };
    Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;

    #[test]
    fn details_survive_the_way_out_and_back() {
        let details = r#"{"a":null,"b":[true,1.5,-3,{"c":"d"}],"e":{}}"#;
        assert_eq!(details_in(details_out(Some(details))).as_deref(), Some(details));
        assert_eq!(details_in(details_out(None)), None);
    }

    #[test]
    fn what_is_nested_very_deeply_is_sent_as_text() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(100), "]".repeat(100));
        let fields = details_out(Some(&deep));
        let bytes = Struct { fields }.encode_to_vec();
        assert!(Struct::decode(&*bytes).is_ok());
    }

    proptest! {
        #[test]
        fn any_text_can_be_sent(text in ".*") {
            prop_assert!(details_out(Some(&text)).len() <= text.len());
        }

        #[test]
        fn any_number_becomes_json(number: f64) {
            let value = Value { kind: Some(Kind::NumberValue(number)) };
            let details = details_in([("n".to_owned(), value)].into()).unwrap_or_default();
            prop_assert!(serde_json::from_str::<Json>(&details).is_ok());
        }
    }
}
