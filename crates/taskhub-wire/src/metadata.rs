//! What clients see of an entity.

use taskhub_core::EntityMetadata;

use crate::{
    InvalidMessage,
    ids::{entity_in, receiver_in},
    proto,
    text::{text_in, text_out},
    timestamp_in, timestamp_out,
};

/// An entity for the outside.
#[must_use]
pub fn metadata_out(entity: &EntityMetadata, with_state: bool) -> proto::EntityMetadata {
    proto::EntityMetadata {
        instance_id: entity.id.to_string(),
        last_modified_time: Some(timestamp_out(entity.modified)),
        backlog_queue_size: i32::try_from(entity.backlog).unwrap_or(i32::MAX),
        locked_by: entity.locked_by.as_ref().map(ToString::to_string),
        serialized_state: text_out(entity.state.as_ref().filter(|_| with_state)),
        stuck: text_out(entity.stuck.as_ref()),
    }
}

/// An entity as a client reads it who asked for everything; which critical section has it locked
/// is not told.
pub fn metadata_in(wire: proto::EntityMetadata) -> Result<EntityMetadata, InvalidMessage> {
    let id = entity_in("instanceId", &wire.instance_id)?;
    let modified = wire.last_modified_time.as_ref();
    let modified = modified.map(|at| timestamp_in("lastModifiedTime", at)).transpose()?;
    let mut entity = EntityMetadata::bare(id, modified.unwrap_or_default());
    let holder = wire.locked_by.filter(|holder| !holder.is_empty());
    entity.locked_by = holder.map(|holder| receiver_in("lockedBy", &holder)).transpose()?;
    entity.state = text_in(wire.serialized_state);
    entity.backlog = usize::try_from(wire.backlog_queue_size).unwrap_or_default();
    entity.stuck = text_in(wire.stuck);
    Ok(entity)
}

#[cfg(test)]
mod tests {
    use taskhub_core::{InstanceId, Timestamp};

    use super::*;

    #[test]
    fn what_a_client_reads_of_an_entity_is_what_the_hub_knows() {
        let mut entity = EntityMetadata::bare(InstanceId::trusted("@counter@a"), Timestamp(7));
        assert_eq!(metadata_in(metadata_out(&entity, true)), Ok(entity.clone()));
        entity.state = Some("42".into());
        entity.locked_by = Some(InstanceId::trusted("order-17"));
        entity.backlog = 3;
        entity.stuck = Some("its history cannot be read".into());
        assert_eq!(metadata_in(metadata_out(&entity, true)), Ok(entity.clone()));
        entity.state = None;
        assert_eq!(metadata_in(metadata_out(&entity, false)), Ok(entity));
    }

    #[test]
    fn what_is_no_entity_is_refused() {
        let wire = proto::EntityMetadata { instance_id: "order-17".into(), ..Default::default() };
        assert!(metadata_in(wire).is_err());
    }
}
