//! Who owns what in a cluster, for people who look after it.

use taskhub_engine::Members;
use taskhub_wire::cluster::{
    DescribeRequest, DescribeResponse, Lease, Node, cluster_server::Cluster,
};
use tonic::{Request, Response, Status, async_trait};

use super::{
    call::hub_name,
    refusal::{no_hub, unreadable},
};
use crate::Hubs;

/// The service for all hubs of the server.
pub(super) struct Described(pub Hubs);

#[async_trait]
impl Cluster for Described {
    async fn describe(
        &self,
        request: Request<DescribeRequest>,
    ) -> Result<Response<DescribeResponse>, Status> {
        let hub = self.0.seen(&hub_name(request.metadata())?).await.map_err(no_hub)?;
        let Some(Members { nodes, leases }) = hub.members().await.map_err(unreadable)? else {
            let why = "this hub is in a folder that one process owns: it has no nodes";
            return Err(Status::failed_precondition(why));
        };
        let leases = leases.into_iter().map(|lease| Lease {
            partition: lease.owned.partition.0.into(),
            epoch: lease.owned.epoch.0,
            node: Some(node(&lease.node)),
            milliseconds: u64::try_from(lease.lasts.as_millis()).unwrap_or(u64::MAX),
        });
        Ok(Response::new(DescribeResponse {
            partition_count: hub.partitions().into(),
            leases: leases.collect(),
            nodes: nodes.iter().map(node).collect(),
        }))
    }
}

fn node(node: &taskhub_core::store::Node) -> Node {
    Node { id: node.id.to_string(), address: node.address.to_string() }
}
