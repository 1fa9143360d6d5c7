//! A key that a client sends along, so that what it asks for twice is done once.

use axum::http::HeaderMap;
use taskhub_core::InstanceId;
use uuid::Uuid;

/// The id of the instance that the header `Idempotency-Key` of a start names, for an orchestration
/// of this name: the same for the same key. `None` without the header.
pub fn keyed(name: &str, headers: &HeaderMap) -> Result<Option<InstanceId>, &'static str> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    let key = key.as_bytes();
    if key.is_empty() || key.len() > 1_024 {
        return Err("an Idempotency-Key has 1 to 1024 bytes");
    }
    let named = [name.as_bytes(), b"\0", key].concat();
    let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, &named).simple().to_string();
    Ok(Some(InstanceId::trusted(id)))
}
