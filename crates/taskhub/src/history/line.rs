//! One event as one line: a flat object with only the fields that the event has.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use taskhub_core::{Failure, Timestamp};

use super::payload::Payload;

/// Says of a type which fields it leaves out when they are empty.
macro_rules! sparse {
    (struct $name:ident { $($must:ident: $must_ty:ty,)* ; $($may:ident: $ty:ty,)* }) => {
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $name {
            $(pub $must: $must_ty,)*
            $(#[serde(default, skip_serializing_if = "Option::is_none")] pub $may: Option<$ty>,)*
        }
    };
}

sparse! {
    struct Line {
        at: When,
        r#type: String,
        ;
        call: u32,
        name: String,
        version: String,
        instance: String,
        input: Payload,
        output: Payload,
        failure: FailureLine,
        due: When,
        takes: u32,
        clock: When,
        value: Payload,
        reason: String,
        recursive: bool,
        status: String,
        execution: String,
        origin: String,
        parent: ParentLine,
        deadline: When,
        tags: BTreeMap<String, String>,
        trace: TraceLine,
        encoded: String,
    }
}

sparse! {
    struct FailureLine {
        kind: String,
        message: String,
        ;
        stack: String,
        cause: Box<FailureLine>,
        non_retriable: bool,
        details: Payload,
    }
}

sparse! {
    struct ParentLine {
        instance: String,
        execution: String,
        name: String,
        call: u32,
        ;
    }
}

sparse! {
    struct TraceLine {
        parent: String,
        ;
        state: String,
    }
}

impl From<&Failure> for FailureLine {
    fn from(failure: &Failure) -> Self {
        Self {
            kind: failure.kind.to_string(),
            message: failure.message.to_string(),
            stack: failure.stack.as_deref().map(str::to_owned),
            cause: failure.cause.as_deref().map(|cause| Box::new(cause.into())),
            non_retriable: failure.non_retriable.then_some(true),
            details: failure.details.clone().map(Payload),
        }
    }
}

impl From<FailureLine> for Failure {
    fn from(line: FailureLine) -> Self {
        let mut failure = Self::new(line.kind, line.message);
        failure.stack = line.stack.map(Into::into);
        failure.cause = line.cause.map(|cause| Box::new((*cause).into()));
        failure.non_retriable = line.non_retriable.unwrap_or_default();
        failure.details = line.details.map(|details| details.0);
        failure
    }
}

/// A point in time: in RFC 3339 as far as that goes, else as microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct When(pub Timestamp);

impl Serialize for When {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if jiff::Timestamp::from_microsecond(self.0.0).is_ok() {
            serializer.collect_str(&crate::Timestamp::of(self.0))
        } else {
            serializer.serialize_i64(self.0.0)
        }
    }
}

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Text(String),
            Micros(i64),
        }
        let micros = match Either::deserialize(deserializer)? {
            Either::Micros(micros) => micros,
            Either::Text(text) => {
                let at = text.parse::<jiff::Timestamp>().map_err(de::Error::custom)?;
                at.as_microsecond()
            }
        };
        Ok(Self(Timestamp(micros)))
    }
}
