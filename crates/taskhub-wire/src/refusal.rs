//! Why a hub refused, told exactly: the codes of gRPC are fewer than the reasons.

use taskhub_core::{InstanceId, Refusal, RuntimeStatus};

use crate::{
    proto::{self, refusal::Reason},
    status_in, status_out,
};

/// The trailing metadata in which a refusal is told: an encoded [`proto::Refusal`].
pub const REFUSAL_KEY: &str = "taskhub-refusal-bin";

/// The metadata by which one node of a cluster proves to another that it is one.
pub const NODE_KEY: &str = "taskhub-node";

/// How many bytes of a reason are told: metadata has to be small.
const WHY_BYTES_MAX: usize = 2_048;

/// A refusal for the outside.
#[must_use]
pub fn refusal_out(refusal: &Refusal) -> proto::Refusal {
    let id = |reason: Reason, id: &InstanceId| proto::Refusal {
        reason: reason.into(),
        instance_id: id.to_string(),
        ..proto::Refusal::default()
    };
    let stands = |reason: Reason, instance: &InstanceId, status: &RuntimeStatus| proto::Refusal {
        status: status_out(*status).into(),
        ..id(reason, instance)
    };
    let bare = |reason: Reason| proto::Refusal { reason: reason.into(), ..Default::default() };
    match refusal {
        Refusal::NotFound(it) => id(Reason::NotFound, it),
        Refusal::Exists(it, status) => stands(Reason::Exists, it, status),
        Refusal::Ended(it, status) => stands(Reason::Ended, it, status),
        Refusal::NotEnded(it, status) => stands(Reason::NotEnded, it, status),
        Refusal::NotFailed(it, status) => stands(Reason::NotFailed, it, status),
        Refusal::CannotRewind(it, why) => {
            proto::Refusal { why: cut(why), ..id(Reason::CannotRewind, it) }
        }
        Refusal::OtherKind(it) => id(Reason::OtherKind, it),
        Refusal::InUse(it) => id(Reason::InUse, it),
        Refusal::TooLarge(it, bytes, bytes_max) => proto::Refusal {
            bytes: i64::try_from(*bytes).unwrap_or(i64::MAX),
            bytes_max: i64::try_from(*bytes_max).unwrap_or(i64::MAX),
            ..id(Reason::TooLarge, it)
        },
        Refusal::Busy(_) => bare(Reason::Busy),
        Refusal::Moved(it) => id(Reason::Moved, it),
        Refusal::Stopping => bare(Reason::Stopping),
        Refusal::Unavailable(it, why) => {
            proto::Refusal { why: cut(why), ..id(Reason::Unavailable, it) }
        }
        Refusal::Lost(why) => proto::Refusal { why: cut(why), ..bare(Reason::Lost) },
        _ => bare(Reason::Unsaid),
    }
}

/// A refusal as a client reads it; `None` when it cannot be read. Why somebody was busy is not
/// told.
#[must_use]
pub fn refusal_in(wire: proto::Refusal) -> Option<Refusal> {
    let reason = wire.reason();
    let proto::Refusal { status, why, bytes, bytes_max, instance_id, .. } = wire;
    let status = || status_in("status", status).ok();
    let id = InstanceId::trusted(instance_id);
    Some(match reason {
        Reason::Unsaid => return None,
        Reason::NotFound => Refusal::NotFound(id),
        Reason::Exists => Refusal::Exists(id, status()?),
        Reason::Ended => Refusal::Ended(id, status()?),
        Reason::NotEnded => Refusal::NotEnded(id, status()?),
        Reason::NotFailed => Refusal::NotFailed(id, status()?),
        Reason::CannotRewind => Refusal::CannotRewind(id, why.into()),
        Reason::OtherKind => Refusal::OtherKind(id),
        Reason::InUse => Refusal::InUse(id),
        Reason::TooLarge => {
            Refusal::TooLarge(id, usize::try_from(bytes).ok()?, usize::try_from(bytes_max).ok()?)
        }
        Reason::Busy => Refusal::Busy("the server has as much to do as it takes"),
        Reason::Moved => Refusal::Moved(id),
        Reason::Stopping => Refusal::Stopping,
        Reason::Unavailable => Refusal::Unavailable(id, why),
        Reason::Lost => Refusal::Lost(why),
    })
}

fn cut(why: &str) -> String {
    why[..why.floor_char_boundary(WHY_BYTES_MAX)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_hears_the_refusal_of_the_hub() {
        let (id, status) = (InstanceId::trusted("@order@a/b"), RuntimeStatus::Suspended);
        let why = "it was changed".to_owned();
        for refusal in [
            Refusal::NotFound(id.clone()),
            Refusal::Exists(id.clone(), status),
            Refusal::Ended(id.clone(), RuntimeStatus::Completed),
            Refusal::NotEnded(id.clone(), status),
            Refusal::NotFailed(id.clone(), status),
            Refusal::CannotRewind(id.clone(), "it was changed".into()),
            Refusal::OtherKind(id.clone()),
            Refusal::InUse(id.clone()),
            Refusal::TooLarge(id.clone(), 1_001, 1_000),
            Refusal::Busy("the server has as much to do as it takes"),
            Refusal::Moved(id.clone()),
            Refusal::Stopping,
            Refusal::Unavailable(id.clone(), why.clone()),
            Refusal::Lost(why),
        ] {
            assert_eq!(refusal_in(refusal_out(&refusal)), Some(refusal));
        }
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let told = refusal_out(&Refusal::Lost("ä".repeat(WHY_BYTES_MAX)));
        assert_eq!(told.why, "ä".repeat(WHY_BYTES_MAX / 2));
    }

    #[test]
    fn what_cannot_be_read_is_no_refusal() {
        assert_eq!(refusal_in(proto::Refusal::default()), None);
        let wire = proto::Refusal { reason: 99, ..Default::default() };
        assert_eq!(refusal_in(wire), None);
        let wire =
            proto::Refusal { reason: Reason::Ended.into(), status: 99, ..Default::default() };
        assert_eq!(refusal_in(wire), None);
    }
}
