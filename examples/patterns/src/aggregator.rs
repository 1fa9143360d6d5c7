//! Many readings come from anywhere; an entity per device adds them up, and reports once a minute.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use taskhub::prelude::*;

/// How long readings are collected before they are reported.
pub const MINUTE: Duration = Duration::from_mins(1);

/// What a device measured since its last report.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Readings {
    count: u32,
    sum: f64,
}

#[entity]
impl Readings {
    /// Adds a reading. The first one of a minute asks for the report at its end.
    pub async fn add(&mut self, hub: Client, ctx: EntityContext, value: f64) -> Result<()> {
        if self.count == 0 {
            ctx.entity::<Self>(ctx.key()).signal_at(hub.now() + MINUTE, Self::report, ())?;
        }
        self.count += 1;
        self.sum += value;
        Ok(())
    }

    /// Tells the average, and begins anew: an entity without a state costs nothing.
    pub async fn report(&mut self, ctx: EntityContext) -> Result<()> {
        let average = self.sum / f64::from(self.count.max(1));
        ctx.entity::<Chart>("all").signal(Chart::draw, (ctx.key().to_owned(), average))?;
        ctx.delete_state();
        Ok(())
    }
}

/// What was reported, in the order in which it came.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Chart {
    /// Devices and averages.
    pub points: Vec<(String, f64)>,
}

#[entity]
impl Chart {
    /// Adds a point.
    pub async fn draw(&mut self, point: (String, f64)) -> Result<()> {
        self.points.push(point);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use taskhub::testing::TestHub;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_device_reports_the_average_of_its_minute() {
        let hub = TestHub::new();
        let host = Host::builder().entity::<Readings>().entity::<Chart>();
        let host = hub.open(host).expect("nothing is missing");
        let client = host.client();
        for (device, value) in [("roof", 10.0), ("cellar", 8.0), ("roof", 30.0)] {
            let readings = client.entity::<Readings>(device);
            readings.signal(Readings::add, value).await.expect("accepted");
        }
        tokio::time::sleep(MINUTE + Duration::from_secs(1)).await;
        let chart = client.entity::<Chart>("all").state().await.expect("it can be read");
        let points = vec![("roof".to_owned(), 20.0), ("cellar".to_owned(), 8.0)];
        assert_eq!(chart, Some(Chart { points }));
        let roof = client.entity::<Readings>("roof").status().await;
        assert_eq!(roof, Ok(None), "it has gone until the next reading");
    }
}
