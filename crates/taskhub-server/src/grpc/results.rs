//! Results of workers, many on one stream; each is taken as a call of its own would be.

use std::{pin::Pin, sync::Arc};

use futures::{Stream, StreamExt as _};
use taskhub_wire::results::results_server::Results;
use taskhub_wire::results::{HandedBack, Taken, handed_back};
use tonic::{Request, Response, Status, Streaming, async_trait};

use super::{
    refusal::is_busy,
    service::{Caller, Service, hub_name},
    workers,
};

/// How many results of a stream are being written at the same time.
const AT_ONCE: usize = 1_024;

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
        let taken = request.into_inner().take_until(stopped).map(move |result| {
            let (service, name, caller) = (service.clone(), name.clone(), caller.clone());
            async move {
                let HandedBack { number, result } = result?;
                let call = service.call_to(name, caller).await?;
                let done = match result {
                    Some(handed_back::Result::Activity(it)) => workers::activity(&call, it).await,
                    Some(handed_back::Result::Turn(it)) => workers::turn(&call, it).await,
                    Some(handed_back::Result::Operations(it)) => {
                        workers::operations(&call, it).await
                    }
                    None => Err(Status::invalid_argument("a result without anything in it")),
                };
                Ok(answer(number, done.err()))
            }
        });
        Ok(Response::new(Box::pin(taken.buffer_unordered(AT_ONCE))))
    }
}

/// What is told of a result.
fn answer(number: u64, refused: Option<Status>) -> Taken {
    let Some(status) = refused else { return Taken { number, ..Taken::default() } };
    Taken {
        number,
        code: status.code().into(),
        message: status.message().to_owned(),
        busy: is_busy(&status),
    }
}
