//! The weather API as a map of one-shot channels: the ceiling, without any promise.
use std::time::Duration;

use bench_harness::{Api, Place, Published, Result, Steps, System};

/// The example `weather-in-memory`; it has the first work only.
#[derive(Debug)]
pub(crate) struct InMemory;

impl System for InMemory {
    async fn open(_: &Place, _: Steps) -> Result<InMemory> {
        Ok(InMemory)
    }

    fn weather(&self, published: Published) -> Api {
        let publish = move |request: weather_in_memory::Request| published.announce(request.id);
        weather_in_memory::app(Duration::from_mins(1), publish).into()
    }
}
