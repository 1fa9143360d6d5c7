//! Results of workers, many on one stream. Those that come together are taken together, and one
//! message says so.
//!
//! A call is answered when its result is durable. Here nobody waits for that: who hands a result
//! back could do nothing about a loss, and this server gives the work out again.

use std::{pin::Pin, sync::Arc};

use futures::{Stream, StreamExt as _};
use taskhub_wire::results::results_server::Results;
use taskhub_wire::results::{Ahead, HandedBack, Refused, Taken, handed_back};
use tonic::{Request, Response, Status, Streaming, async_trait};

use super::{
    call::{Call, Caller, hub_name},
    refusal::is_busy,
    service::Service,
    workers::{self, Ended},
};

/// How many results are taken together.
const AT_ONCE: usize = 256;

/// The service for all hubs of the server.
pub(super) struct Taking(pub Arc<Service>);

#[async_trait]
impl Results for Taking {
    type BringStream = Pin<Box<dyn Stream<Item = Result<Taken, Status>> + Send>>;

    async fn bring(
        &self,
        request: Request<Streaming<HandedBack>>,
    ) -> Result<Response<Self::BringStream>, Status> {
        let name = hub_name(request.metadata())?;
        let caller = Caller::of(&request);
        let stopped = self.0.hubs().stopping().clone().cancelled_owned();
        let service = self.0.clone();
        let results = request.into_inner().take_until(stopped).ready_chunks(AT_ONCE);
        let taken = results.then(move |results| {
            let (service, name, caller) = (service.clone(), name.clone(), caller.clone());
            async move { take(&service.call_to(name, caller, false).await?, results) }
        });
        Ok(Response::new(Box::pin(taken)))
    }
}

/// Takes what came together, up to what cannot be read.
fn take(call: &Call<'_>, results: Vec<Result<HandedBack, Status>>) -> Result<Taken, Status> {
    let (mut taken, mut unreadable) = (Taken::default(), None);
    let mut all = Vec::with_capacity(results.len());
    for result in results {
        let HandedBack { number, result, ahead } = match result {
            Ok(result) => result,
            Err(status) => {
                unreadable = Some(status);
                break;
            }
        };
        let refused = match ended(call, result, ahead) {
            Ok(None) => None,
            Ok(Some(Ended { delivery, done, refused })) => {
                all.push((delivery, done));
                refused
            }
            Err(refused) => Some(refused),
        };
        match refused {
            None => taken.numbers.push(number),
            Some(status) => taken.refused.push(not_taken(number, &status)),
        }
    }
    call.hub.finish_all(all);
    unreadable.map_or(Ok(taken), Err)
}

fn ended(
    call: &Call<'_>,
    result: Option<handed_back::Result>,
    ahead: Option<Ahead>,
) -> Result<Option<Ended>, Status> {
    match result {
        Some(handed_back::Result::Activity(it)) => workers::of_activity(call, it, ahead),
        Some(handed_back::Result::Turn(it)) => workers::of_turn(call, it),
        Some(handed_back::Result::Operations(it)) => workers::of_operations(call, it),
        None => Err(Status::invalid_argument("a result without anything in it")),
    }
}

fn not_taken(number: u64, status: &Status) -> Refused {
    let (code, message) = (status.code().into(), status.message().to_owned());
    Refused { number, code, message, busy: is_busy(status) }
}
