//! Bearer tokens: who knows one is let in.

use axum::http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use subtle::ConstantTimeEq as _;

/// The tokens that let a client in; none lets everybody in.
#[derive(Clone)]
pub(crate) struct Tokens(Vec<String>);

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tokens({})", self.0.len())
    }
}

impl Tokens {
    pub(crate) fn new(tokens: Vec<String>) -> Self {
        Self(tokens)
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a request may pass. How long this takes says nothing about the tokens but their
    /// lengths.
    pub(crate) fn admit(&self, headers: &HeaderMap) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let sent = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
        let Some((scheme, sent)) = sent.split_at_checked(7) else { return false };
        if !scheme.eq_ignore_ascii_case(b"bearer ") {
            return false;
        }
        let known = self.0.iter().map(|token| token.as_bytes().ct_eq(sent));
        known.fold(subtle::Choice::from(0), |any, one| any | one).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(tokens: &[&str], sent: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        if let Some(sent) = sent {
            headers.insert(AUTHORIZATION, sent.parse().unwrap());
        }
        Tokens::new(tokens.iter().map(ToString::to_string).collect()).admit(&headers)
    }

    #[test]
    fn without_tokens_everybody_is_let_in() {
        assert!(admits(&[], None));
    }

    #[test]
    fn any_of_the_tokens_lets_in_and_nothing_else_does() {
        for good in ["Bearer a", "bearer long-one"] {
            assert!(admits(&["a", "long-one"], Some(good)), "{good}");
        }
        for bad in ["", "a", "Bearer", "Bearer ", "Bearer b", "Bearer aa", "Basic a"] {
            assert!(!admits(&["a", "long-one"], Some(bad)), "{bad}");
        }
        assert!(!admits(&["a"], None));
    }
}
