//! What the telemetry room refuses or fails at.

use wire::{Fault, FaultKind};

/// Why telemetry said no.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A stream's name is empty, longer than 64 bytes or has control characters.
    #[error("a stream's name has 1 to 64 bytes without control characters")]
    StreamName,
    /// The range or the number of points of a history query.
    #[error("{0}")]
    Query(&'static str),
    /// A stored block can't be read back.
    #[error(transparent)]
    Damaged(#[from] DamagedBlock),
    /// The server is stopping; what was not acknowledged is to be sent again after a reconnect.
    #[error("the server is stopping")]
    Stopping,
    /// Another instance stored this stream meanwhile; say hello again to learn its position.
    #[error("the stream was continued elsewhere")]
    Elsewhere,
    /// Folding ran ahead of the read several times; try again.
    #[error("the samples are being rearranged")]
    Moving,
}

/// A stored block of samples failed its checksum.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DamagedBlock(String);

impl From<super::codec::Damaged> for Error {
    fn from(e: super::codec::Damaged) -> Self {
        Self::Damaged(DamagedBlock(e.to_string()))
    }
}

impl From<super::codec::Damaged> for crate::Error {
    fn from(e: super::codec::Damaged) -> Self {
        Error::from(e).into()
    }
}

impl Error {
    /// What the other side gets to see.
    pub fn fault(&self) -> Fault {
        match self {
            Self::StreamName => {
                Fault::new(FaultKind::Invalid, "bad_stream", "Name the stream with 1 to 64 bytes without control characters.").at("stream")
            }
            Self::Query(what) => Fault::new(FaultKind::Invalid, "bad_history_query", *what),
            Self::Damaged(e) => {
                tracing::error!(error = %e, "damaged samples");
                Fault::new(FaultKind::Internal, "internal", "Something failed on the server. The request id finds it in the log.")
            }
            Self::Stopping => {
                Fault::new(FaultKind::Busy, "stopping", "The server is restarting. Connect again and resend what was not acknowledged.")
                    .retry_after(2)
            }
            Self::Elsewhere => Fault::new(
                FaultKind::Conflict,
                "stream_moved",
                "The stream was continued over another connection. Connect again to learn its position.",
            ),
            Self::Moving => Fault::new(FaultKind::Busy, "busy", "The server is busy. Try again in a moment.").retry_after(1),
        }
    }
}
