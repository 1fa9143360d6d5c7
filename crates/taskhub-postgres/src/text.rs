//! Text as PostgreSQL takes it. It refuses U+0000, which payloads and ids may contain.
//!
//! U+0000 is written as U+0001 U+0001, and U+0001 as U+0001 U+0002. So the order of texts stays,
//! and what begins with a text still does.

use std::borrow::Cow;

use taskhub_core::Text;

/// The text as it is stored.
pub(crate) fn pack(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte < 2) {
        Cow::Owned(text.replace('\u{1}', "\u{1}\u{2}").replace('\0', "\u{1}\u{1}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// The text that was stored so.
pub(crate) fn unpack(stored: &str) -> Text {
    if !stored.contains('\u{1}') {
        return stored.into();
    }
    let mut text = String::with_capacity(stored.len());
    let mut chars = stored.chars();
    while let Some(c) = chars.next() {
        text.push(match c {
            '\u{1}' if chars.next() == Some('\u{1}') => '\0',
            c => c,
        });
    }
    text.into()
}

/// The least text that is greater than all texts that begin with `prefix`, if there is one.
pub(crate) fn behind(prefix: &str) -> Option<String> {
    let mut rest = prefix.chars();
    while let Some(last) = rest.next_back() {
        // Behind U+D7FF comes U+E000: what is between them are no characters.
        let next =
            if last == '\u{D7FF}' { Some('\u{E000}') } else { char::from_u32(last as u32 + 1) };
        if let Some(next) = next {
            return Some(format!("{}{next}", rest.as_str()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXTS: [&str; 8] = ["", "\0", "\0\0b", "\0a", "\u{1}", "\u{1}\0", "\u{2}", "a\0\u{1}c"];

    #[test]
    fn every_text_comes_back_without_what_is_refused() {
        for text in TEXTS {
            let stored = pack(text);
            assert!(!stored.contains('\0'));
            assert_eq!(&*unpack(&stored), text);
        }
    }

    #[test]
    fn the_order_stays() {
        assert!(TEXTS.is_sorted());
        assert!(TEXTS.map(pack).is_sorted());
    }

    #[test]
    fn what_is_behind_a_prefix_is_behind_all_that_begin_with_it() {
        assert_eq!(behind("order"), Some("ordes".to_owned()));
        assert_eq!(behind("a\u{10FFFF}"), Some("b".to_owned()));
        assert_eq!(behind("\u{D7FF}"), Some("\u{E000}".to_owned()));
        assert_eq!((behind(""), behind("\u{10FFFF}")), (None, None));
    }
}
