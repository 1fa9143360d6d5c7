//! What the protocol has no word for, said as an event that is sent to nobody.
//!
//! No instance can have these ids. Workers in other languages never say such things.

use taskhub_core::{CallId, Kind, Text};

use crate::ids::receiver_in;

const NOTE: &str = "@note";
const CANCEL: &str = "@cancel";
const TERMINATE: &str = "@terminate";
const TERMINATE_ALL: &str = "@terminate-all";

/// An event to nobody: the receiver, its name and its payload.
pub(crate) type Aside = (String, String, Option<String>);

/// Says it as an event.
pub(crate) fn aside_out(kind: &Kind) -> Option<Aside> {
    match kind {
        Kind::Noted { name, value, .. } => {
            Some((NOTE.into(), name.to_string(), Some(value.to_string())))
        }
        Kind::CallCancelled { .. } => Some((CANCEL.into(), String::new(), None)),
        Kind::TerminateSent { to, reason, recursive, .. } => {
            let receiver = if *recursive { TERMINATE_ALL } else { TERMINATE };
            Some((receiver.into(), to.to_string(), reason.as_ref().map(ToString::to_string)))
        }
        _ => None,
    }
}

/// What an event says, if it is such a one.
pub(crate) fn aside_in(
    call: CallId,
    receiver: &str,
    name: &str,
    payload: Option<&Text>,
) -> Option<Kind> {
    match receiver {
        NOTE => {
            let value = payload.cloned().unwrap_or_default();
            Some(Kind::Noted { call, name: name.into(), value })
        }
        CANCEL => Some(Kind::CallCancelled { call }),
        TERMINATE | TERMINATE_ALL => Some(Kind::TerminateSent {
            call,
            to: receiver_in("eventSent.name", name).ok()?,
            reason: payload.cloned(),
            recursive: receiver == TERMINATE_ALL,
        }),
        _ => None,
    }
}
