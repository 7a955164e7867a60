//! The certificates that a TLS client has shown.

use floodgate_event::ClientCertificates;
use tokio_rustls::rustls::ServerConnection;

use crate::memory::{Account, Exhausted, Reservation};

/// The certificates of the client of a connection, and the memory that they take.
#[derive(Debug)]
pub struct Client {
    certificates: ClientCertificates,
    _memory: Reservation,
}

impl Client {
    /// The certificates. Nobody has checked yet who issued them.
    pub fn certificates(&self) -> &ClientCertificates {
        &self.certificates
    }

    /// Restores the certificates of a held request, with the memory that they take. Returns `None` if there
    /// are none.
    pub fn again(chain: Vec<Vec<u8>>, memory: Reservation) -> Option<Self> {
        let certificates = ClientCertificates::new(chain);
        (!certificates.chain().is_empty()).then_some(Self { certificates, _memory: memory })
    }

    /// Copies what the client has shown, in this handshake or in that of the session which this one resumes.
    /// rustls holds it too, so it counts twice. Returns `None` if the client has shown nothing.
    pub(crate) fn of(session: &ServerConnection, account: &Account) -> Result<Option<Self>, Exhausted> {
        let Some(chain) = session.peer_certificates().filter(|chain| !chain.is_empty()) else {
            return Ok(None);
        };
        let memory = account.reserve(2 * chain.iter().map(|certificate| certificate.len()).sum::<usize>())?;
        let chain = chain.iter().map(|certificate| certificate.to_vec()).collect();
        Ok(Some(Self { certificates: ClientCertificates::new(chain), _memory: memory }))
    }
}
