//! Values as histories keep them: JSON text, where `null` is nothing at all.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use taskhub_core::Text;

use crate::{Failure, Result};

/// What can be an input, an output or an event: anything that serde can write and read.
///
/// It is stored as JSON, so that programs in other languages can use it. `()` and `None` are
/// stored as nothing.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be stored: it is not both `Serialize` and `DeserializeOwned`",
    label = "cannot be stored as JSON",
    note = "derive both: #[derive(serde::Serialize, serde::Deserialize)]"
)]
pub trait Data: Sized + 'static {
    // Not as traits above this one: the compiler would complain of each of them, and not of this.
    #[doc(hidden)]
    fn to_stored(&self) -> Result<Option<Text>>;
    #[doc(hidden)]
    fn of_stored(text: Option<&str>, what: &str) -> Result<Self>;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + 'static> Data for T {
    fn to_stored(&self) -> Result<Option<Text>> {
        write(self)
    }

    fn of_stored(text: Option<&str>, what: &str) -> Result<Self> {
        read(text, what)
    }
}

/// Writes a value.
#[expect(clippy::needless_pass_by_value, reason = "who gives it has no use for it any more")]
pub(crate) fn encode<T: Data>(value: T) -> Result<Option<Text>> {
    value.to_stored()
}

/// Reads a value; `what` says what it is of, for the message.
pub(crate) fn decode<T: Data>(text: Option<&str>, what: &str) -> Result<T> {
    T::of_stored(text, what)
}

/// A value within another one.
pub(crate) fn value<T: Data>(value: T) -> Result<Value> {
    decode(encode(value)?.as_deref(), "a value")
}

/// What it stands for.
pub(crate) fn of_value<T: Data>(value: Value, what: &str) -> Result<T> {
    decode(encode(value)?.as_deref(), what)
}

/// Writes what nobody reads back here.
pub(crate) fn write<T: Serialize + ?Sized>(value: &T) -> Result<Option<Text>> {
    match serde_json::to_string(value) {
        Ok(text) if text == "null" => Ok(None),
        Ok(text) => Ok(Some(text.into())),
        Err(error) => {
            let what = std::any::type_name::<T>();
            let message = format!("a value of {what} cannot be written as JSON");
            Err(Failure::new(Failure::DATA, message).caused_by(error).no_retry())
        }
    }
}

fn read<T: DeserializeOwned>(text: Option<&str>, what: &str) -> Result<T> {
    serde_json::from_str(text.unwrap_or("null")).map_err(|error| {
        let is = std::any::type_name::<T>();
        let message = format!("{what} cannot be read as {is}");
        Failure::new(Failure::DATA, message).caused_by(error).no_retry()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_stored_as_nothing() {
        assert_eq!(encode(()).unwrap(), None);
        assert_eq!(encode(None::<u8>).unwrap(), None);
        assert_eq!(encode(Some(1)).unwrap().as_deref(), Some("1"));
        assert_eq!(decode::<Option<u8>>(None, "it").unwrap(), None);
        decode::<()>(None, "it").unwrap();
    }

    #[test]
    fn what_cannot_be_read_says_what_it_is() {
        let failure = read::<u8>(Some("\"x\""), "the input of `f`").unwrap_err();
        assert!(failure.to_string().starts_with("the input of `f` cannot be read as u8: "));
        assert!(failure.is_terminal());
    }
}
