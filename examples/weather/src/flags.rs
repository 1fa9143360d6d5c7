//! The command line of the weather example.

use std::{net::SocketAddr, path::PathBuf};

use clap::Parser;

/// The weather API, durably.
///
///   curl '127.0.0.1:7071/api/weather?city=Berlin'
///
/// goes out as a file in weather-requests, and is held until a file of the same name, with any
/// extension, is put into weather-results:
///
///   echo 'Sunny, 21 degrees' > weather-data/weather-results/ID.txt
///
/// Kill the process in between if you like: who asks again with the same Idempotency-Key header
/// gets the answer.
#[derive(Debug, Parser)]
#[command(verbatim_doc_comment)]
pub(crate) struct Flags {
    /// Address to serve on
    #[arg(long, default_value = "127.0.0.1:7071")]
    pub(crate) listen: SocketAddr,

    /// Folder of the hub, the requests and the results
    #[arg(long, default_value = "weather-data")]
    pub(crate) data: PathBuf,

    /// Seconds to hold a request before it is terminated and answered with 500
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub(crate) timeout: u64,

    /// Answer each request here after a random delay of at most this many milliseconds
    #[arg(long, value_name = "MS", num_args = 0..=1, default_missing_value = "2000")]
    pub(crate) pretend_backend: Option<u64>,
}

impl Flags {
    /// What the command line says.
    pub(crate) fn read() -> Self {
        Self::parse()
    }

    /// A folder below the data, which is made if it is not there.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.data.join(name);
        if let Err(error) = std::fs::create_dir_all(&folder) {
            eprintln!("cannot make the folder {}: {error}", folder.display());
            std::process::exit(1);
        }
        folder
    }
}
