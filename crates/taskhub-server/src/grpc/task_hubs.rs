//! Hubs, made and deleted.

use taskhub_wire::proto::{CreateTaskHubRequest, CreateTaskHubResponse, DeleteTaskHubResponse};
use tonic::Status;

use super::refusal::no_hub;
use crate::{HubName, Hubs};

pub(super) async fn create(
    hubs: &Hubs,
    name: &HubName,
    request: &CreateTaskHubRequest,
) -> Result<CreateTaskHubResponse, Status> {
    if request.recreate_if_exists {
        hubs.delete(name).await.map_err(no_hub)?;
    }
    hubs.hub(name).await.map_err(no_hub)?;
    Ok(CreateTaskHubResponse {})
}

pub(super) async fn delete(hubs: &Hubs, name: &HubName) -> Result<DeleteTaskHubResponse, Status> {
    hubs.delete(name).await.map_err(no_hub)?;
    Ok(DeleteTaskHubResponse {})
}
