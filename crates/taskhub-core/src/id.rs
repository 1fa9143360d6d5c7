//! What things are called: instances, executions, calls, partitions, messages and requests.

use std::{fmt, iter, sync::Arc};

/// Opaque text, JSON by convention; cheap to clone, never parsed by the engine.
pub type Text = Arc<str>;

/// The name of one instance within its hub: 1 to 200 bytes, chosen by the user or generated.
///
/// Ids that begin with `@` are reserved for entities (`@name@key`).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceId(Text);

/// Why a text cannot be an instance id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidInstanceId {
    /// The text has no characters.
    #[error("an instance id must not be empty")]
    Empty,
    /// The text is longer than [`InstanceId::BYTES_MAX`].
    #[error("an instance id has at most 200 bytes, this one has {0}")]
    TooLong(usize),
    /// The name and the key are longer than [`InstanceId::ENTITY_BYTES_MAX`].
    #[error("the id of an entity, @name@key, has a length of at most 100 bytes, this one has {0}")]
    EntityTooLong(usize),
    /// A character that URLs or logs would garble.
    #[error(r"an instance id must not contain {0:?}: nothing of / \ ? # and no control character")]
    Character(char),
    /// The name of an entity has a character that its id cannot, or its key one that logs garble.
    #[error(
        "an entity's name must not contain {0:?} (nor '@', nor control characters; in a key \
             only these are refused)"
    )]
    EntityCharacter(char),
    /// It names no entity.
    #[error("an entity's id has the form @name@key")]
    NoEntity,
    /// The first character marks an entity.
    #[error("an instance id must not begin with '@': such ids name entities")]
    Entity,
}

impl InstanceId {
    /// The longest id, in bytes of UTF-8.
    pub const BYTES_MAX: usize = 200;

    /// The longest id of an entity, in bytes of UTF-8: what fits here fits other backends.
    pub const ENTITY_BYTES_MAX: usize = 100;

    /// Checks an id that a user chose for an orchestration.
    pub fn parse(text: &str) -> Result<Self, InvalidInstanceId> {
        if text.is_empty() {
            return Err(InvalidInstanceId::Empty);
        }
        if text.len() > Self::BYTES_MAX {
            return Err(InvalidInstanceId::TooLong(text.len()));
        }
        if text.starts_with('@') {
            return Err(InvalidInstanceId::Entity);
        }
        let forbidden = |c: &char| matches!(c, '/' | '\\' | '?' | '#') || c.is_control();
        match text.chars().find(forbidden) {
            Some(c) => Err(InvalidInstanceId::Character(c)),
            None => Ok(Self(text.into())),
        }
    }

    /// The id of the entity with this name, which is made lower case, and this key.
    pub fn entity(name: &str, key: &str) -> Result<Self, InvalidInstanceId> {
        if name.is_empty() {
            return Err(InvalidInstanceId::Empty);
        }
        let wrong = |c: &char| *c == '@' || c.is_control();
        if let Some(c) = name.chars().find(wrong).or_else(|| key.chars().find(|c| c.is_control())) {
            return Err(InvalidInstanceId::EntityCharacter(c));
        }
        let id = format!("@{}@{key}", name.to_lowercase());
        if id.len() > Self::ENTITY_BYTES_MAX {
            return Err(InvalidInstanceId::EntityTooLong(id.len()));
        }
        Ok(Self(id.into()))
    }

    /// Checks an id that names an entity: `@name@key`.
    pub fn parse_entity(text: &str) -> Result<Self, InvalidInstanceId> {
        let rest = text.strip_prefix('@').ok_or(InvalidInstanceId::NoEntity)?;
        let (name, key) = rest.split_once('@').ok_or(InvalidInstanceId::NoEntity)?;
        Self::entity(name, key)
    }

    /// The name and the key of the entity, if it names one.
    #[must_use]
    pub fn as_entity(&self) -> Option<(&str, &str)> {
        self.0.strip_prefix('@')?.split_once('@')
    }

    /// Takes an id that was checked before, such as one read from a store.
    #[must_use]
    pub fn trusted(text: impl Into<Text>) -> Self {
        Self(text.into())
    }

    /// The id of an instance for which nobody chose one: that of the execution it begins with. Two
    /// executions never share an id, so no other instance has it.
    #[must_use]
    pub fn fresh(execution: ExecutionId) -> Self {
        Self(execution.to_string().into())
    }

    /// Whether nobody chose it: see [`fresh`](Self::fresh).
    #[must_use]
    pub fn is_fresh(&self, execution: ExecutionId) -> bool {
        self.0.len() == 32 && *self.0 == *execution.to_string()
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id of the child that call `call` of `execution` starts, when the caller names none.
    #[must_use]
    pub fn of_child(execution: ExecutionId, call: CallId) -> Self {
        Self(execution.derive(u64::from(call.0)).to_string().into())
    }
}

impl AsRef<str> for InstanceId {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// One run of an instance; continue-as-new and restart begin another. Shown as 32 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExecutionId(pub u128);

impl ExecutionId {
    /// An id that follows from this one and `salt`, the same at every replay.
    #[must_use]
    pub fn derive(self, salt: u64) -> Self {
        let bytes = self.0.to_le_bytes();
        let (low, high) = bytes.split_at(8);
        let word = |half: &[u8]| half.iter().rev().fold(0u64, |w, b| w << 8 | u64::from(*b));
        let high = mix(word(high) ^ mix(salt.wrapping_add(0x9E37_79B9_7F4A_7C15)));
        let low = mix(word(low).wrapping_add(high).wrapping_add(salt));
        Self(u128::from(high) << 64 | u128::from(low))
    }

    /// The run that goes on from this one, which failed.
    #[must_use]
    pub(crate) fn rewound(self) -> Self {
        self.derive(1 << 33)
    }

    /// Whether `later` is this run, or goes on from it, however often it was rewound meanwhile.
    #[must_use]
    pub fn goes_on_as(self, later: Self) -> bool {
        /// More often nobody rewinds; as many ids are made in less than a millisecond.
        const REWINDS_MAX: usize = 1 << 16;
        let runs = iter::successors(Some(self), |run| Some(run.rewound()));
        runs.take(REWINDS_MAX).any(|run| run == later)
    }
}

/// The finaliser of splitmix64: every bit of the input moves half of the output.
fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

impl fmt::Display for ExecutionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for ExecutionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A call that an orchestration made, counted from 0 within its execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u32);

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// A fixed share of a hub's instances, from 0; which one follows from the instance id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartitionId(pub u16);

impl PartitionId {
    /// The partition of `instance` in a hub of `count` partitions (FNV-1a of the id, for ever).
    #[must_use]
    pub fn of(instance: &InstanceId, count: u16) -> Self {
        let hash = instance
            .as_str()
            .bytes()
            .fold(0x811C_9DC5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        let share = hash % u32::from(count.max(1));
        Self(u16::try_from(share).unwrap_or_default())
    }
}

/// Counts the owners of a partition: each new owner has the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Epoch(pub u64);

/// Counts the commits of one partition under one epoch, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct CommitSeq(pub u64);

/// Names a client's request on the node that took it, so that the answer finds the way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// Names a message between instances: no two messages of a hub ever share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId {
    /// The partition that sent it.
    pub from: PartitionId,
    /// The epoch it was sent under.
    pub epoch: Epoch,
    /// Counts that partition's messages under that epoch to each receiving partition, whose
    /// number is added 2^40 times.
    pub number: u64,
}

impl MessageId {
    /// Whether its sender sent nothing to that partition before, under that epoch.
    #[must_use]
    pub fn is_first(self) -> bool {
        self.number & ((1 << 40) - 1) == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_id_refuses_what_a_url_or_a_log_would_garble() {
        for bad in ["", "@counter@a", "a/b", "a\\b", "a?b", "a#b", "a\nb", &"x".repeat(201)] {
            assert!(InstanceId::parse(bad).is_err(), "{bad:?}");
        }
        for good in ["a", "order-17", "Ünïcödé", "a:0001", &"x".repeat(200)] {
            assert!(InstanceId::parse(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn the_partition_of_an_id_never_changes() {
        let of = |id: &str| PartitionId::of(&InstanceId::trusted(id), 32).0;
        assert_eq!((of("order-17"), of("a"), of("")), (14, 12, 5));
    }

    #[test]
    fn derived_executions_differ_by_salt_and_by_origin() {
        let (a, b) = (ExecutionId(1), ExecutionId(2));
        assert_eq!(a.derive(7), a.derive(7));
        assert_ne!(a.derive(7), a.derive(8));
        assert_ne!(a.derive(7), b.derive(7));
    }
}
