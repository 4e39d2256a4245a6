//! Refusals of some among many that are done in one transaction: whoever is refused leaves nothing, and the others begin anew without them.

/// Why nothing was done. The transaction must not be committed.
#[derive(Debug)]
pub(crate) enum Refused<E> {
    /// These are to blame, by their places; the others are not.
    These(Vec<(usize, E)>),
    /// None of them is.
    All(E),
}

impl<E> From<E> for Refused<E> {
    fn from(e: E) -> Self {
        Self::All(e)
    }
}

impl<E> Refused<E> {
    /// The reason, when there was but one to refuse.
    pub(crate) fn alone(self) -> Option<E> {
        match self {
            Self::These(refused) => refused.into_iter().next().map(|(_, e)| e),
            Self::All(e) => Some(e),
        }
    }

    /// `Ok` when nobody is to blame.
    pub(crate) fn none(refused: Vec<(usize, E)>) -> Result<(), Self> {
        if refused.is_empty() { Ok(()) } else { Err(Self::These(refused)) }
    }
}
