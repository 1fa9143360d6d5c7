//! Completion tokens: the number of a delivery, and a seal that only this process can make.
//!
//! Numbers follow each other; so without the seal one worker could guess the tokens of another.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::LazyLock,
};

use taskhub_engine::DeliveryId;

static SEAL: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// How many digits the number has.
const DIGITS: usize = 16;

/// The token of a delivery: 32 hexadecimal digits.
pub(super) fn token_of(delivery: DeliveryId) -> String {
    format!("{delivery:0DIGITS$x}{:016x}", SEAL.hash_one(delivery))
}

/// The delivery of a token, if it is one of this process.
pub(super) fn delivery_of(token: &str) -> Option<DeliveryId> {
    let (number, seal) = token.split_at_checked(DIGITS)?;
    let delivery = DeliveryId::from_str_radix(number, 16).ok()?;
    let sealed = u64::from_str_radix(seal, 16).ok()?;
    (sealed == SEAL.hash_one(delivery)).then_some(delivery)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_delivery() {
        for delivery in [0, 7, u64::MAX] {
            assert_eq!(delivery_of(&token_of(delivery)), Some(delivery));
        }
    }

    #[test]
    fn nobody_guesses_the_token_of_the_next_delivery() {
        let seal = token_of(7).split_off(DIGITS);
        assert_eq!(delivery_of(&format!("{:016x}{seal}", 8)), None);
        for text in ["", "8", "0000000000000008", &"é".repeat(16), &"f".repeat(32)] {
            assert_eq!(delivery_of(text), None, "{text}");
        }
    }
}
