//! Where a hub in another process is, and how to be let in.

use std::fmt;

use tonic::{
    metadata::AsciiMetadataValue,
    transport::{Certificate, ClientTlsConfig, Endpoint},
};

use crate::{Link, error::causes, link::Labels};

/// A hub that a server keeps: `taskhub serve`, or any other that speaks the Durable Task protocol.
///
/// ```no_run
/// # use taskhub_link::Remote;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let default = Remote::at("http://127.0.0.1:7071");
/// let token = std::env::var("TASKHUB_TOKEN")?;
/// let orders = Remote::at("https://tasks.example.com").hub("orders").token(token);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Remote {
    address: String,
    hub: Option<String>,
    token: Option<String>,
    certificate: Option<String>,
    secret: Option<String>,
}

/// Why a hub in another process cannot be spoken to, whatever its server does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// The text is no address.
    #[error("{0:?} is no address of a server: {1}; write it as http://HOST:PORT or https://HOST")]
    Address(String, String),
    /// The scheduler's connection string asks for something that only its own cloud has.
    #[error(
        "`Authentication={0}` is not supported; use `None`, and a token if the server wants one"
    )]
    Authentication(String),
    /// A name or a token cannot be sent.
    #[error("the {0} has characters that cannot be sent")]
    Header(&'static str),
}

impl Remote {
    /// The default hub of the server at an address such as `http://127.0.0.1:7071` or
    /// `https://tasks.example.com`. A scheduler's connection string
    /// (`Endpoint=http://..;TaskHub=..;Authentication=None`) names the hub too.
    pub fn at(address: impl Into<String>) -> Self {
        Self { address: address.into(), hub: None, token: None, certificate: None, secret: None }
    }

    /// The hub of this name on that server.
    #[must_use]
    pub fn hub(mut self, name: impl Into<String>) -> Self {
        self.hub = Some(name.into());
        self
    }

    /// The bearer token to be let in with.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Trusts this certificate, in PEM, beside those that this machine trusts.
    #[must_use]
    pub fn certificate(mut self, pem: impl Into<String>) -> Self {
        self.certificate = Some(pem.into());
        self
    }

    /// Comes as another node of the cluster, which has this secret: its questions are answered by
    /// the server that is asked or refused, and never passed on.
    #[must_use]
    pub fn node(mut self, secret: impl Into<String>) -> Self {
        self.secret = Some(secret.into());
        self
    }

    /// A connection, made when it is first needed, and again when it is lost. To be called within
    /// tokio.
    pub fn link(&self) -> Result<Link, RemoteError> {
        let (address, hub) = self.parts()?;
        let wrong = |error: tonic::transport::Error| {
            RemoteError::Address(self.address.clone(), causes(&error))
        };
        let mut endpoint = Endpoint::from_shared(address.clone()).map_err(wrong)?;
        match address.split_once("://") {
            Some(("https", _)) => {
                let mut tls = ClientTlsConfig::new().with_native_roots();
                if let Some(pem) = &self.certificate {
                    tls = tls.ca_certificate(Certificate::from_pem(pem));
                }
                endpoint = endpoint.tls_config(tls).map_err(wrong)?;
            }
            Some(("http", _)) => {}
            _ => {
                let why = "it does not say how to speak to it".to_owned();
                return Err(RemoteError::Address(self.address.clone(), why));
            }
        }
        let bearer = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let header = |what, text: Option<&str>| {
            let value = text.map(AsciiMetadataValue::try_from).transpose();
            value.map_err(|_| RemoteError::Header(what))
        };
        let labels = Labels {
            hub: header("name of the hub", hub.as_deref())?,
            token: header("token", bearer.as_deref())?,
            secret: header("secret of the cluster", self.secret.as_deref())?,
        };
        Ok(Link::over(&endpoint, address, labels))
    }

    /// The address of the server, and the name of the hub.
    fn parts(&self) -> Result<(String, Option<String>), RemoteError> {
        let (mut address, mut hub) = (self.address.clone(), None);
        let settings = self.address.split(';').filter_map(|it| it.split_once('='));
        for (key, value) in settings.map(|(key, value)| (key.trim(), value.trim())) {
            match key.to_lowercase().as_str() {
                "endpoint" => value.clone_into(&mut address),
                "taskhub" => hub = Some(value.to_owned()),
                "authentication" if !value.eq_ignore_ascii_case("none") => {
                    return Err(RemoteError::Authentication(value.to_owned()));
                }
                _ => {}
            }
        }
        Ok((address, self.hub.clone().or(hub)))
    }
}

impl From<&str> for Remote {
    fn from(address: &str) -> Self {
        Self::at(address)
    }
}

impl From<String> for Remote {
    fn from(address: String) -> Self {
        Self::at(address)
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hub = self.hub.as_deref().unwrap_or("the default hub");
        write!(f, "Remote({hub} at {})", self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(remote: &Remote) -> (String, Option<String>) {
        remote.parts().expect("it can be read")
    }

    #[test]
    fn a_connection_string_names_server_and_hub() {
        let text = "Endpoint=http://localhost:8080;TaskHub=orders;Authentication=None";
        let expected = ("http://localhost:8080".to_owned(), Some("orders".to_owned()));
        assert_eq!(parts(&text.into()), expected);
        let other = Remote::at(text).hub("other");
        assert_eq!(parts(&other).1.as_deref(), Some("other"));
    }

    #[test]
    fn an_address_alone_means_the_default_hub() {
        let expected = ("https://tasks.example.com".to_owned(), None);
        assert_eq!(parts(&"https://tasks.example.com".into()), expected);
    }

    #[tokio::test]
    async fn what_cannot_work_is_told_before_anything_is_sent() {
        let refused = |remote: Remote| remote.link().expect_err("it cannot work");
        let cloud = "Endpoint=https://a.example.com;TaskHub=a;Authentication=ManagedIdentity";
        assert!(matches!(refused(cloud.into()), RemoteError::Authentication(_)));
        for address in ["", "localhost:7071", "ftp://a.example.com", "http://a b"] {
            assert!(matches!(refused(address.into()), RemoteError::Address(..)), "{address}");
        }
        let remote = Remote::at("http://localhost:7071").token("a\nb");
        assert_eq!(refused(remote), RemoteError::Header("token"));
    }

    #[test]
    fn a_token_is_not_shown() {
        let remote = Remote::at("http://localhost:7071").token("sesame");
        assert!(!format!("{remote:?}").contains("sesame"));
    }
}
