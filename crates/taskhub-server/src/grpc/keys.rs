//! The keys of the HTTP API, shown and changed from elsewhere.

use taskhub_wire::keys::{
    Key, ListRequest, ListResponse, Made, Removed, keys_server::Keys as Service,
};
use tonic::{Request, Response, Status, async_trait};

use crate::{Keys, KeysError};

/// The service over the keys of the server.
pub(crate) struct Held {
    pub keys: Keys,
    /// Whether whoever comes here showed a token, or is on this machine and came directly. Others
    /// could make themselves a key.
    pub is_guarded: bool,
}

impl Held {
    /// The keys, for who may change them.
    async fn with<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Keys) -> Result<T, KeysError> + Send + 'static,
    ) -> Result<Response<T>, Status> {
        if !self.is_guarded {
            let why = "other machines reach this server, so it needs `tokens` before it shows keys";
            return Err(Status::permission_denied(why));
        }
        let keys = self.keys.clone();
        let asked = tokio::task::spawn_blocking(move || ask(&keys)).await;
        let asked = asked.map_err(|error| Status::internal(error.to_string()))?;
        asked.map(Response::new).map_err(|error| refused(&error))
    }
}

#[async_trait]
impl Service for Held {
    async fn list(&self, _: Request<ListRequest>) -> Result<Response<ListResponse>, Status> {
        self.with(|keys| {
            let keys = keys.list().into_iter().map(Into::into).collect();
            Ok(ListResponse { keys })
        })
        .await
    }

    async fn create(&self, which: Request<Key>) -> Result<Response<Made>, Status> {
        let Key { name, function, .. } = which.into_inner();
        self.with(move |keys| Ok(Made { secret: keys.create(&name, function.as_deref())? })).await
    }

    async fn rotate(&self, which: Request<Key>) -> Result<Response<Made>, Status> {
        let Key { name, function, .. } = which.into_inner();
        self.with(move |keys| Ok(Made { secret: keys.rotate(&name, function.as_deref())? })).await
    }

    async fn remove(&self, which: Request<Key>) -> Result<Response<Removed>, Status> {
        let Key { name, function, .. } = which.into_inner();
        self.with(move |keys| {
            keys.remove(&name, function.as_deref())?;
            Ok(Removed {})
        })
        .await
    }
}

impl From<crate::Key> for Key {
    fn from(key: crate::Key) -> Self {
        Self { name: key.name, function: key.function, made: key.made }
    }
}

fn refused(error: &KeysError) -> Status {
    let why = error.to_string();
    match error {
        KeysError::Exists(_) => Status::already_exists(why),
        KeysError::Unknown(_) => Status::not_found(why),
        KeysError::Name(_) => Status::invalid_argument(why),
        KeysError::InUse(_) => Status::aborted(why),
        _ => Status::internal(why),
    }
}
