//! Where the database is, and how to get there: the URL, with TLS when it asks for it.

use std::{
    fs::File,
    future::poll_fn,
    io::BufReader,
    path::Path,
    sync::{Arc, mpsc::Sender},
    time::Duration,
};

use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::CertificateDer};
use tokio::task::AbortHandle;
use tokio_postgres::{
    AsyncMessage, Client, Config, Connection, NoTls, Socket,
    config::{SslMode, TargetSessionAttrs},
    tls::TlsStream,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{
    OpenError,
    error::{Trouble, chain},
};

/// How long a connection may take to come about, when the URL does not say.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);

/// How long a dead peer may keep a connection alive.
const SILENCE_TIME_MAX: Duration = Duration::from_secs(30);

/// Where the database is.
#[derive(Clone)]
pub(crate) struct Address {
    config: Config,
    tls: Option<MakeRustlsConnect>,
}

impl Address {
    /// Reads a URL, or words as `psql` takes them.
    pub(crate) fn parse(url: &str) -> Result<Self, OpenError> {
        let (url, asked) = Secure::split_off(url);
        let mut config: Config = url.parse().map_err(|error| OpenError::Url(chain(&error)))?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIME_MAX);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(SILENCE_TIME_MAX);
        }
        if config.get_application_name().is_none() {
            config.application_name("taskhub");
        }
        // An idle connection is asked as soon, and three times.
        config.keepalives_idle(SILENCE_TIME_MAX / 3).keepalives_interval(SILENCE_TIME_MAX / 6);
        config.keepalives_retries(3);
        // Of several, also of several behind one name: the others only follow it.
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        // In words as `psql` takes them it was not split off.
        let words = Secure { roots: None };
        let asked = asked.or((config.get_ssl_mode() == SslMode::Require).then_some(words));
        let tls = asked.map(|secure| secure.connector()).transpose()?;
        config.ssl_mode(if tls.is_some() { SslMode::Require } else { SslMode::Disable });
        Ok(Self { config, tls })
    }

    /// Connects; a task of this runtime carries what is sent until it is aborted.
    /// Notices that the server sends go to `ear`.
    pub(crate) async fn connect(
        &self,
        ear: Option<Sender<String>>,
    ) -> Result<(Client, AbortHandle), Trouble> {
        let failed = |error: tokio_postgres::Error| {
            let why = chain(&error);
            // The class of SQLSTATEs for who is not let in; the first is told by the client.
            let is_barred = why.ends_with("password missing")
                || error.code().is_some_and(|code| code.code().starts_with("28"));
            if is_barred { Trouble::Barred(why) } else { Trouble::Unreachable(why) }
        };
        Ok(if let Some(tls) = &self.tls {
            let (client, connection) = self.config.connect(tls.clone()).await.map_err(failed)?;
            (client, carry(connection, ear))
        } else {
            let (client, connection) = self.config.connect(NoTls).await.map_err(failed)?;
            (client, carry(connection, ear))
        })
    }
}

fn carry<T>(mut connection: Connection<Socket, T>, ear: Option<Sender<String>>) -> AbortHandle
where
    T: TlsStream + Unpin + Send + 'static,
{
    let carrying = async move {
        while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
            match (message, &ear) {
                (Ok(AsyncMessage::Notification(notice)), Some(ear)) => {
                    let _ = ear.send(notice.payload().to_owned());
                }
                (Ok(_), _) => {}
                (Err(error), _) => {
                    tracing::debug!(error = chain(&error), "a connection to the database ended");
                    return;
                }
            }
        }
    };
    tokio::spawn(carrying).abort_handle()
}

/// What the URL says about TLS.
#[derive(Debug, PartialEq, Eq)]
struct Secure {
    /// The file of the certificates that are trusted; those of the system when `None`.
    roots: Option<String>,
}

impl Secure {
    /// Takes `sslmode` and `sslrootcert` out of a URL, what comes behind its last question mark.
    fn split_off(url: &str) -> (String, Option<Self>) {
        let Some((place, query)) = url.rsplit_once('?') else { return (url.to_owned(), None) };
        let (mut mode, mut roots, mut rest) = (None, None, Vec::new());
        for pair in query.split('&') {
            match pair.split_once('=') {
                Some(("sslmode", value)) => mode = Some(value),
                Some(("sslrootcert", value)) => roots = Some(value.replace("%2F", "/")),
                _ => rest.push(pair),
            }
        }
        let wants = match mode {
            Some("disable" | "allow" | "prefer") => false,
            Some(_) => true,
            None => roots.is_some(),
        };
        (format!("{place}?{}", rest.join("&")), wants.then_some(Self { roots }))
    }

    fn connector(&self) -> Result<MakeRustlsConnect, OpenError> {
        let mut trusted = RootCertStore::empty();
        if let Some(file) = &self.roots {
            for certificate in read(Path::new(file))? {
                trusted.add(certificate).map_err(|error| {
                    OpenError::Tls(format!("{file} holds a certificate that is none: {error}"))
                })?;
            }
        } else {
            let found = rustls_native_certs::load_native_certs();
            trusted.add_parsable_certificates(found.certs);
        }
        if trusted.is_empty() {
            let why = "no certificates are trusted here; name a file by sslrootcert".to_owned();
            return Err(OpenError::Tls(why));
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| OpenError::Tls(error.to_string()))?
            .with_root_certificates(trusted)
            .with_no_client_auth();
        Ok(MakeRustlsConnect::new(config))
    }
}

fn read(file: &Path) -> Result<Vec<CertificateDer<'static>>, OpenError> {
    use rustls::pki_types::pem::PemObject as _;
    let failed = |why: String| OpenError::Tls(format!("{} cannot be read: {why}", file.display()));
    let open = File::open(file).map_err(|error| failed(error.to_string()))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_reader_iter(BufReader::new(open)).collect();
    found.map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(url: &str) -> Option<Secure> {
        Secure::split_off(url).1
    }

    #[test]
    fn tls_is_spoken_when_the_url_asks_for_it() {
        let at = |query: &str| format!("postgres://me@db/hub?{query}");
        for plain in ["", "sslmode=disable", "sslmode=prefer", "connect_timeout=3"] {
            assert_eq!(asked(&at(plain)), None, "{plain}");
        }
        for mode in ["require", "verify-ca", "verify-full"] {
            let url = at(&format!("sslmode={mode}&options=x"));
            assert_eq!(asked(&url), Some(Secure { roots: None }));
        }
        let roots = Some("/etc/ca.pem".to_owned());
        assert_eq!(asked(&at("sslrootcert=%2Fetc/ca.pem")), Some(Secure { roots }));
        let (rest, _) = Secure::split_off(&at("sslmode=require&connect_timeout=3"));
        assert_eq!(rest, at("connect_timeout=3"));
        let odd = "postgres://me:a?b@db/hub?sslmode=require";
        assert_eq!(asked(odd), Some(Secure { roots: None }), "a password may have one");
    }

    #[test]
    fn who_asks_for_tls_in_words_gets_it_or_an_error() {
        let is_plain = |words| Address::parse(words).map(|address| address.tls.is_none());
        assert_eq!(is_plain("host=db user=me").ok(), Some(true));
        assert_ne!(is_plain("host=db user=me sslmode=require").ok(), Some(true));
        assert_ne!(is_plain("host=db user=me sslmode=verify-full").ok(), Some(true));
    }

    #[test]
    fn what_is_no_address_is_refused_with_a_reason() {
        for wrong in ["postgres://me@db/hub?colour=red", "weather.hub"] {
            let Err(OpenError::Url(why)) = Address::parse(wrong) else { panic!("{wrong} is none") };
            assert!(!why.is_empty());
        }
        assert!(Address::parse("postgres://me@db/hub").is_ok());
    }
}
