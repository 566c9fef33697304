//! The link: one WebSocket over mutual TLS, with a frame of the protocol in each message.
//!
//! Light on purpose: the simulated fleet holds ten thousand of these in one process.

use edgedeck_protocol::{FRAME_MAX, FrameError, FromAgent, Hello, LINK_PATH, ToAgent, Welcome};
use futures::{SinkExt, StreamExt};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use std::{io, sync::Arc, time::Duration};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{self, Message, protocol::WebSocketConfig},
};

/// A link on which nothing arrives for this long is dead.
pub const SILENCE_MAX: Duration = Duration::from_secs(30);
/// Connecting, with TLS, upgrade and welcome, may take this long.
pub const CONNECT_MAX: Duration = Duration::from_secs(15);

#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error("{0:?} is not a host and port")]
    Address(String),
    #[error("connecting to {address}")]
    Connect { address: String, source: io::Error },
    #[error("the TLS handshake with {address}")]
    Tls { address: String, source: io::Error },
    #[error("opening the link at {address}")]
    Upgrade {
        address: String,
        source: Box<tungstenite::Error>,
    },
    #[error("the engine at {address} did not answer in time")]
    Slow { address: String },
    #[error("the link broke")]
    Broken(#[source] Box<tungstenite::Error>),
    #[error("nothing was heard of the engine for {} s", SILENCE_MAX.as_secs())]
    Silent,
    #[error("the engine closed the link")]
    Closed,
    #[error("the engine refused this agent: {0}")]
    Refused(String),
    #[error("the engine took this node out of the lab")]
    Removed,
    #[error("the engine spoke out of turn")]
    OutOfTurn,
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// An open link.
pub struct Link {
    socket: WebSocketStream<TlsStream<TcpStream>>,
    heard: Instant,
}

impl Link {
    /// Connects to `host:port` and says hello.
    ///
    /// # Errors
    /// [`LinkError::Refused`] when the engine does not serve this agent; others when there is no way to it.
    pub async fn open(address: &str, tls: Arc<ClientConfig>, hello: Hello) -> Result<(Self, Welcome), LinkError> {
        let opening = async {
            let mut link = Self::connect(address, tls).await?;
            link.send(&FromAgent::Hello(hello)).await?;
            match link.receive().await? {
                ToAgent::Welcome(welcome) => Ok((link, welcome)),
                ToAgent::Removed => Err(LinkError::Removed),
                ToAgent::Refused { reason } => Err(LinkError::Refused(reason)),
                _ => Err(LinkError::OutOfTurn),
            }
        };
        timeout(CONNECT_MAX, opening).await.map_err(|_| LinkError::Slow {
            address: address.to_owned(),
        })?
    }

    async fn connect(address: &str, tls: Arc<ClientConfig>) -> Result<Self, LinkError> {
        let owned = || address.to_owned();
        let (host, _) = address.rsplit_once(':').ok_or_else(|| LinkError::Address(owned()))?;
        let name =
            ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).map_err(|_| LinkError::Address(owned()))?;
        let tcp = TcpStream::connect(address).await.map_err(|source| LinkError::Connect {
            address: owned(),
            source,
        })?;
        // Frames are small and somebody may be waiting for each.
        tcp.set_nodelay(true).map_err(|source| LinkError::Connect {
            address: owned(),
            source,
        })?;
        let stream = TlsConnector::from(tls)
            .connect(name, tcp)
            .await
            .map_err(|source| LinkError::Tls {
                address: owned(),
                source,
            })?;
        let config = WebSocketConfig::default()
            .read_buffer_size(4 * 1024)
            .write_buffer_size(0)
            .max_message_size(Some(FRAME_MAX))
            .max_frame_size(Some(FRAME_MAX));
        let (socket, _) = client_async_with_config(format!("wss://{address}{LINK_PATH}"), stream, Some(config))
            .await
            .map_err(|source| LinkError::Upgrade {
                address: owned(),
                source: Box::new(source),
            })?;
        Ok(Self {
            socket,
            heard: Instant::now(),
        })
    }

    /// # Errors
    /// [`LinkError::Frame`] for a frame over the limit (the link lives on), else the link is broken.
    pub async fn send(&mut self, frame: &FromAgent) -> Result<(), LinkError> {
        let bytes = edgedeck_protocol::encode(frame)?;
        self.write(Message::Binary(bytes.into())).await
    }

    /// Asks for a sign of life.
    ///
    /// # Errors
    /// When the link is broken.
    pub async fn ping(&mut self) -> Result<(), LinkError> {
        self.write(Message::Ping(Default::default())).await
    }

    async fn write(&mut self, message: Message) -> Result<(), LinkError> {
        // A peer that takes nothing for this long is as dead as one that says nothing.
        timeout(SILENCE_MAX, self.socket.send(message))
            .await
            .map_err(|_| LinkError::Silent)?
            .map_err(|source| LinkError::Broken(Box::new(source)))
    }

    /// The next frame. Safe to drop before it is done.
    ///
    /// # Errors
    /// [`LinkError::Silent`] when nothing at all arrived for [`SILENCE_MAX`]; ping in between.
    pub async fn receive(&mut self) -> Result<ToAgent, LinkError> {
        loop {
            let message = timeout_at(self.heard + SILENCE_MAX, self.socket.next())
                .await
                .map_err(|_| LinkError::Silent)?
                .ok_or(LinkError::Closed)?
                .map_err(|source| LinkError::Broken(Box::new(source)))?;
            self.heard = Instant::now();
            match message {
                Message::Binary(bytes) => return Ok(edgedeck_protocol::decode(&bytes)?),
                Message::Close(_) => return Err(LinkError::Closed),
                // Pings are answered by the library as the link is read.
                Message::Ping(_) | Message::Pong(_) | Message::Text(_) | Message::Frame(_) => {}
            }
        }
    }

    /// Says goodbye; a link that is broken already needs none.
    pub async fn close(mut self) {
        let _ = timeout(Duration::from_secs(1), self.socket.close(None)).await;
    }
}
