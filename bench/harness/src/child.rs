//! A measuring process: one order in, one line of figures out.
use crate::{Error, Figures, Order, Result, Steps, System, Task, work};

/// Does what `order` (JSON) says with the system `S`, prints the figures and ends the process.
///
/// The process ends without closing the system, as if it had been killed.
pub fn obey<S: System>(order: &str) -> ! {
    let runtime = tokio::runtime::Runtime::new().map_err(Error::from);
    let figures = runtime.and_then(|runtime| {
        let order = serde_json::from_str(order)?;
        runtime.block_on(Box::pin(measure::<S>(order)))
    });
    let line = figures.and_then(|figures| Ok(serde_json::to_string(&figures)?));
    match line {
        Ok(line) => println!("{line}"),
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    }
    std::process::exit(0);
}

async fn measure<S: System>(order: Order) -> Result<Figures> {
    let Order { task, place, pace } = order;
    let steps = Steps::default();
    if let Task::Return { instances } = task {
        return work::w5::wake::<S>(&place, instances, pace).await;
    }
    if let Task::Hold { requests, door, http2 } = task {
        return work::w6::run::<S>(&place, (door, http2), requests, pace).await;
    }
    let system = S::open(&place, steps.clone()).await?;
    match task {
        Task::Weather { clients } => work::w1::run(&system, clients, pace).await,
        Task::Chains { at_a_time } => work::w2::run(system, at_a_time, pace).await,
        Task::FanOut { width } => work::w3::run(&system, width, pace).await,
        Task::Sequence { steps: length } => work::w4::run(&system, &steps, length, pace).await,
        Task::Park { instances } => work::w5::park(system, &steps, instances, pace).await,
        Task::Return { .. } | Task::Hold { .. } => unreachable!("answered above"),
    }
}
