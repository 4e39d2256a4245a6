//! The device's live websocket (`wire::device`) over its mutual TLS.
//!
//! Owns one connection's life: handshake, `hello` and `welcome`, limits, silence. Refuses to know what is worth sending and when to come back.

use crate::{
    http::problem,
    tls::{self, Endpoint},
};
use futures::{
    SinkExt as _, StreamExt as _,
    stream::{SplitSink, SplitStream},
};
use rustls::ClientConfig;
use std::{io, sync::Arc, time::Duration};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        self, Message,
        protocol::{CloseFrame, WebSocketConfig, frame::coding::CloseCode},
    },
};
use wire::device::{Down, Hello, MAX_FRAME, Up, Welcome};

const PATH: &str = "/device/v1/channel";
/// Most time for the websocket handshake, and from `hello` to `welcome`.
const GREETING: Duration = Duration::from_secs(15);
/// The library takes 128 KiB a socket unless told; a device sends small frames and a simulator has thousands of sockets.
const BUFFER: usize = 4096;

type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// Why there is no channel, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// The server does not accept this device's certificate: revoked, suspended, expired or unknown.
    #[error("the server refused this device's certificate")]
    Refused,
    /// The server answered the handshake with a status instead of a websocket.
    #[error("the server answered {status}: {message}")]
    Answer {
        /// HTTP status.
        status: u16,
        /// The fault's sentence, where it sent one.
        message: String,
    },
    /// The connection broke.
    #[error("the channel broke: {0}")]
    Broken(String),
    /// The server closed it, with a code (RFC 6455 §7.4) and a reason.
    #[error("the server closed the channel ({code}): {reason}")]
    Closed {
        /// 1012 when it restarts, 1005 when it gave none.
        code: u16,
        /// For people.
        reason: String,
    },
    /// Nothing came for three of the server's pings.
    #[error("the server has been silent for {0:?}")]
    Silent(Duration),
    /// Something else than a welcome came first.
    #[error("expected a welcome, got {0}")]
    Unwelcome(String),
}

impl From<tungstenite::Error> for Error {
    fn from(error: tungstenite::Error) -> Self {
        match error {
            tungstenite::Error::Io(e) if tls::refused(&e) => Self::Refused,
            tungstenite::Error::Io(e) if e.kind() == io::ErrorKind::UnexpectedEof => Self::Broken("it ended without a goodbye".into()),
            tungstenite::Error::Http(answer) => {
                let (_, message) = problem(answer.body().as_deref().unwrap_or_default());
                Self::Answer { status: answer.status().as_u16(), message }
            }
            other => Self::Broken(other.to_string()),
        }
    }
}

/// An open channel that has been welcomed.
#[derive(Debug)]
pub struct Channel {
    up: Sender,
    down: Receiver,
}

impl Channel {
    /// Connects to the device listener at `https://host:port`, says `hello` and waits for the welcome.
    pub async fn connect(config: &Arc<ClientConfig>, device_url: &str, hello: &Hello) -> Result<(Self, Welcome), Error> {
        let endpoint: Endpoint = device_url.parse()?;
        let stream = tls::connect(config, &endpoint).await?;
        let limits = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(BUFFER)
            .max_write_buffer_size(2 * MAX_FRAME)
            .max_message_size(Some(MAX_FRAME))
            .max_frame_size(Some(MAX_FRAME));
        let late = || Error::Silent(GREETING);
        let url = format!("wss://{endpoint}{PATH}");
        let (socket, _) = timeout(GREETING, client_async_with_config(url, stream, Some(limits))).await.map_err(|_| late())??;
        let (sink, stream) = socket.split();
        let mut channel = Self { up: Sender { sink }, down: Receiver { stream, silence: GREETING } };
        channel.up.send(&Up::Hello(hello.clone())).await?;
        match timeout(GREETING, channel.down.next()).await.map_err(|_| late())?? {
            Down::Welcome(welcome) => {
                channel.down.silence = Duration::from_secs(u64::from(welcome.ping_s.max(1)) * 3);
                Ok((channel, welcome))
            }
            Down::Refused { code, message, .. } => Err(Error::Unwelcome(format!("{code}: {message}"))),
            other => Err(Error::Unwelcome(format!("{other:?}"))),
        }
    }

    /// Sends a frame and flushes it.
    pub async fn send(&mut self, frame: &Up) -> Result<(), Error> {
        self.up.send(frame).await
    }

    /// The next frame. Answers pings on the way.
    pub async fn next(&mut self) -> Result<Down, Error> {
        self.down.next().await
    }

    /// Both directions, to be used at the same time.
    pub fn split(self) -> (Sender, Receiver) {
        (self.up, self.down)
    }

    /// Says goodbye (1000).
    pub async fn close(mut self) -> Result<(), Error> {
        self.up.close().await
    }
}

/// The direction to the server.
#[derive(Debug)]
pub struct Sender {
    sink: SplitSink<Socket, Message>,
}

impl Sender {
    /// Puts a frame in the socket's buffer; [`Sender::flush`] makes sure that it leaves.
    pub async fn feed(&mut self, frame: &Up) -> Result<(), Error> {
        let text = serde_json::to_string(frame).map_err(|e| Error::Broken(e.to_string()))?;
        Ok(self.sink.feed(Message::text(text)).await?)
    }

    /// Sends what was fed.
    pub async fn flush(&mut self) -> Result<(), Error> {
        Ok(self.sink.flush().await?)
    }

    /// Sends a frame now.
    pub async fn send(&mut self, frame: &Up) -> Result<(), Error> {
        self.feed(frame).await?;
        self.flush().await
    }

    /// Says goodbye (1000).
    pub async fn close(&mut self) -> Result<(), Error> {
        let bye = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        Ok(self.sink.send(Message::Close(Some(bye))).await?)
    }
}

/// The direction from the server.
#[derive(Debug)]
pub struct Receiver {
    stream: SplitStream<Socket>,
    silence: Duration,
}

impl Receiver {
    /// The next frame. Anything at all from the server, pings too, proves that it is there; frames of a type that this version does not know
    /// are passed over.
    pub async fn next(&mut self) -> Result<Down, Error> {
        loop {
            let message = timeout(self.silence, self.stream.next()).await.map_err(|_| Error::Silent(self.silence))?;
            match message {
                None => return Err(Error::Broken("it ended".into())),
                Some(Err(e)) => return Err(e.into()),
                Some(Ok(Message::Text(text))) => match serde_json::from_str(&text) {
                    Ok(frame) => return Ok(frame),
                    Err(e) => tracing::debug!(error = %e, "a frame that this version does not know"),
                },
                Some(Ok(Message::Close(frame))) => {
                    let (code, reason) = frame.map_or((1005, String::new()), |f| (f.code.into(), f.reason.to_string()));
                    return Err(Error::Closed { code, reason });
                }
                Some(Ok(_)) => {}
            }
        }
    }
}
