//! Joining and leaving a lab: the HTTPS requests outside the link.

use crate::identity::{self, Identity, IdentityError, Trust};
use edgedeck_model::{Code, Lang, Problem};
use edgedeck_protocol::{CA_PATH, JOIN_PATH, JoinReply, JoinRequest, LEAVE_PATH};
use reqwest::{Client, ClientBuilder, Response, redirect};
use rustls::ClientConfig;
use std::time::Duration;

/// Largest answer that is read whole, in bytes.
const ANSWER_MAX: usize = 1024 * 1024;
const TIMEOUT: Duration = Duration::from_secs(20);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);

#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    #[error("{0:?} is not an address of an engine")]
    Address(String),
    #[error("the engine at {address} cannot be reached")]
    Unreachable { address: String, source: reqwest::Error },
    #[error("the engine at {address} has another CA: expected {expected}, found {found}")]
    WrongHash {
        address: String,
        expected: String,
        found: String,
    },
    #[error("the engine at {address} answered {status} with something unexpected: {detail}")]
    Unexpected {
        address: String,
        status: u16,
        detail: String,
    },
    #[error("the engine refused: {0}")]
    Refused(Problem),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("setting up HTTPS")]
    Client(#[source] reqwest::Error),
}

impl JoinError {
    /// What went wrong and what to do about it.
    pub fn text(&self, lang: Lang) -> String {
        match self {
            Self::Address(address) => lang.pick(
                format!("“{address}” 不是引擎的地址。请使用控制台显示的命令，例如 https://192.168.1.10:8444。"),
                format!("\"{address}\" is not the address of an engine. Use the command that the console shows, with an address like https://192.168.1.10:8444."),
            ),
            Self::Unreachable { address, source } => {
                let detail = crate::chain(source);
                lang.pick(
                    format!("无法连接引擎 {address}。请检查地址、网络和防火墙（端口 8444）。详情：{detail}"),
                    format!("The engine at {address} cannot be reached. Check the address, the network and the firewall (port 8444). Detail: {detail}"),
                )
            }
            Self::WrongHash { address, expected, found } => lang.pick(
                format!("{address} 的 CA 证书与 --ca-hash 不符：可能有人在中间冒充引擎，也可能命令来自另一个实验室。没有发送任何信息。请从控制台重新复制加入命令。\n  期望 {expected}\n  实际 {found}"),
                format!("The CA certificate of {address} is not the one that --ca-hash names: somebody may be posing as the engine (man in the middle), or the command is from another lab. Nothing was sent. Copy the join command from the console again.\n  expected {expected}\n  found    {found}"),
            ),
            Self::Unexpected { address, status, detail } => lang.pick(
                format!("{address} 的回答不像 EdgeDeck 引擎（HTTP {status}：{detail}）。请检查地址和端口。"),
                format!("{address} does not answer like an EdgeDeck engine (HTTP {status}: {detail}). Check the address and the port."),
            ),
            Self::Refused(problem) if problem.code == Code::BadToken => lang.pick(
                "令牌无效、已使用或已过期。请在控制台生成新的加入命令后重试。".to_owned(),
                "The token is wrong, used up or expired. Make a new join command in the console and try again.".to_owned(),
            ),
            Self::Refused(problem) if problem.code == Code::Taken => {
                let serial = problem.fact("name");
                lang.pick(
                    format!("序列号 {serial} 已属于另一个节点。如果这是同一台设备，请先在控制台移除旧节点；否则用 --serial 指定另一个序列号。"),
                    format!("The serial number {serial} belongs to another node. If this is the same box, remove the old node in the console first; else name another serial number with --serial."),
                )
            }
            Self::Refused(problem) => problem.text(lang),
            Self::Identity(error) => {
                let detail = crate::chain(error);
                lang.pick(format!("证书或密钥无法使用：{detail}"), format!("A certificate or key cannot be used: {detail}"))
            }
            Self::Client(error) => {
                let detail = crate::chain(error);
                lang.pick(format!("无法建立 HTTPS：{detail}"), format!("HTTPS cannot be set up: {detail}"))
            }
        }
    }
}

/// The `host:port` of an address as people paste it: `https://host:port`, with or without the scheme or a slash.
///
/// # Errors
/// [`JoinError::Address`] when there is no host or no port.
pub fn host_and_port(address: &str) -> Result<String, JoinError> {
    let wrong = || JoinError::Address(address.to_owned());
    let rest = address.trim();
    let rest = rest.strip_prefix("https://").unwrap_or(rest).trim_end_matches('/');
    let (host, port) = rest.rsplit_once(':').ok_or_else(wrong)?;
    let bracketed = host.starts_with('[') && host.ends_with(']');
    let plain = !host.is_empty() && !host.contains([':', '/', '@', '?', '#', ' ']);
    let port_number = port.parse::<u16>().map_err(|_| wrong())?;
    if !(bracketed || plain) || port_number == 0 {
        Err(wrong())
    } else {
        Ok(rest.to_owned())
    }
}

fn plain_client() -> ClientBuilder {
    // The engine is in the lab: a proxy for the internet is never the way to it, nor does it redirect.
    Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
}

/// An HTTPS client with these TLS settings.
///
/// # Errors
/// [`JoinError::Client`] when HTTPS cannot be set up.
pub fn client(tls: ClientConfig) -> Result<Client, JoinError> {
    plain_client()
        .tls_backend_preconfigured(tls)
        .build()
        .map_err(JoinError::Client)
}

/// An HTTPS client that takes any certificate: nothing that it is told may be believed, and nothing said to it that is
/// worth hiding.
///
/// # Errors
/// When TLS cannot be set up.
pub fn untrusting_client() -> Result<ClientBuilder, JoinError> {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(IdentityError::Tls)?
        .dangerous()
        .with_custom_certificate_verifier(std::sync::Arc::new(untrusted::Anybody(provider)))
        .with_no_client_auth();
    Ok(plain_client().tls_backend_preconfigured(tls))
}

/// Fetches the lab's CA certificate (PEM) from an engine that is not trusted yet, and compares it with the hash.
///
/// # Errors
/// [`JoinError::WrongHash`] when it is another one.
pub async fn fetch_ca(address: &str, ca_hash: &str) -> Result<String, JoinError> {
    let address = host_and_port(address)?;
    let response = untrusting_client()?
        .build()
        .map_err(JoinError::Client)?
        .get(format!("https://{address}{CA_PATH}"))
        .timeout(TIMEOUT)
        .send()
        .await
        .map_err(|source| JoinError::Unreachable {
            address: address.clone(),
            source,
        })?;
    let status = response.status();
    let body = read(&address, response).await?;
    let unexpected = |detail: String| JoinError::Unexpected {
        address: address.clone(),
        status: status.as_u16(),
        detail,
    };
    if !status.is_success() {
        return Err(unexpected(excerpt(&body)));
    }
    let pem = String::from_utf8(body).map_err(|_| unexpected("not a PEM".to_owned()))?;
    // Each of them would be trusted, and the hash is of one.
    if pem.matches("-----BEGIN").count() != 1 {
        return Err(unexpected("not one certificate".to_owned()));
    }
    let found = identity::certificate_hash(&pem).map_err(|error| unexpected(crate::chain(&error)))?;
    let expected = ca_hash.trim().to_ascii_lowercase();
    if found == expected {
        Ok(pem)
    } else {
        Err(JoinError::WrongHash {
            address,
            expected,
            found,
        })
    }
}

/// Joins: sends the certificate request with the token.
///
/// # Errors
/// [`JoinError::Refused`] with the engine's own words.
pub async fn join(client: &Client, address: &str, request: &JoinRequest) -> Result<JoinReply, JoinError> {
    let address = host_and_port(address)?;
    let response = client
        .post(format!("https://{address}{JOIN_PATH}"))
        .timeout(TIMEOUT)
        .json(request)
        .send()
        .await
        .map_err(|source| JoinError::Unreachable {
            address: address.clone(),
            source,
        })?;
    let status = response.status();
    let body = read(&address, response).await?;
    if status.is_success() {
        return serde_json::from_slice(&body).map_err(|error| JoinError::Unexpected {
            address,
            status: status.as_u16(),
            detail: error.to_string(),
        });
    }
    Err(refusal(address, status.as_u16(), &body))
}

/// Takes the node out of the lab, with its own certificate, at the first address that answers.
///
/// # Errors
/// The last address's error when none answers; [`JoinError::Refused`] when the engine does not want to.
pub async fn leave(trust: &Trust, identity: &Identity, addresses: &[String]) -> Result<(), JoinError> {
    let client = client(trust.client(identity)?)?;
    let mut last = JoinError::Address(String::new());
    for address in addresses {
        let answer = client
            .post(format!("https://{address}{LEAVE_PATH}"))
            .timeout(Duration::from_secs(8))
            .send()
            .await;
        match answer {
            Err(source) => {
                last = JoinError::Unreachable {
                    address: address.clone(),
                    source,
                }
            }
            Ok(response) if response.status().is_success() => return Ok(()),
            Ok(response) => {
                let status = response.status().as_u16();
                return Err(refusal(address.clone(), status, &read(address, response).await?));
            }
        }
    }
    Err(last)
}

fn refusal(address: String, status: u16, body: &[u8]) -> JoinError {
    match serde_json::from_slice::<Problem>(body) {
        Ok(problem) => JoinError::Refused(problem),
        Err(_) => JoinError::Unexpected {
            address,
            status,
            detail: excerpt(body),
        },
    }
}

fn excerpt(body: &[u8]) -> String {
    edgedeck_model::name::tame(&String::from_utf8_lossy(body), 200)
}

async fn read(address: &str, mut response: Response) -> Result<Vec<u8>, JoinError> {
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|source| JoinError::Unreachable {
        address: address.to_owned(),
        source,
    })? {
        if body.len() + chunk.len() > ANSWER_MAX {
            let detail = format!("more than {ANSWER_MAX} bytes");
            return Err(JoinError::Unexpected {
                address: address.to_owned(),
                status,
                detail,
            });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// TLS with whoever answers, for the one request whose answer is checked by its hash.
mod untrusted {
    use rustls::{
        DigitallySignedStruct, Error, SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    };
    use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
    use std::sync::Arc;

    #[derive(Debug)]
    pub struct Anybody(pub Arc<CryptoProvider>);

    impl ServerCertVerifier for Anybody {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.0.signature_verification_algorithms.supported_schemes()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer},
    };
    use std::sync::Arc;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// A server that says this, whatever it is asked; where it is.
    async fn server(says: String) -> String {
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from(own.cert.der().to_vec())],
                PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap(),
            )
            .unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut stream = acceptor.accept(stream).await.unwrap();
                let _asked = stream.read(&mut [0; 4096]).await;
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", says.len());
                let _said = stream.write_all(format!("{head}{says}").as_bytes()).await;
                let _ended = stream.shutdown().await;
            }
        });
        address.to_string()
    }

    #[tokio::test]
    async fn only_the_one_certificate_behind_the_hash_is_believed() {
        let ca = || {
            rcgen::generate_simple_self_signed(["lab".to_owned()])
                .unwrap()
                .cert
                .pem()
        };
        let (real, own) = (ca(), ca());
        let hash = identity::certificate_hash(&real).unwrap();
        let fetched = fetch_ca(&server(real.clone()).await, &hash).await;
        assert_eq!(fetched.unwrap(), real);
        let wrong = fetch_ca(&server(own.clone()).await, &hash).await;
        assert!(matches!(wrong, Err(JoinError::WrongHash { .. })), "{wrong:?}");
        // Somebody in between adds theirs: every certificate of the answer would be trusted.
        for both in [format!("{real}{own}"), format!("{real}x {own}"), format!("{own}{real}")] {
            let more = fetch_ca(&server(both).await, &hash).await;
            assert!(matches!(more, Err(JoinError::Unexpected { .. })), "{more:?}");
        }
    }

    #[test]
    fn addresses_as_people_paste_them() {
        for good in [
            "https://10.0.0.1:8444",
            "10.0.0.1:8444",
            "https://lab.local:8444/",
            "https://[::1]:8444",
        ] {
            assert!(host_and_port(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "https://",
            "10.0.0.1",
            "http://10.0.0.1:1",
            "::1:8444",
            "https://a:0",
            "https://a b:1",
            "a:99999",
            "x@y:1",
        ] {
            assert!(host_and_port(bad).is_err(), "{bad}");
        }
    }
}
