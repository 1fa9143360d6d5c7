//! Text that may be absent: absent differs from empty, on both sides.

use taskhub_core::Text;

pub(crate) fn text_in(wire: Option<String>) -> Option<Text> {
    wire.map(Into::into)
}

pub(crate) fn text_out(text: Option<&Text>) -> Option<String> {
    text.map(ToString::to_string)
}
