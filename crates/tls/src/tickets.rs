//! Session tickets that every gateway of a region can open (RFC 5077 and RFC 8446 section 4.6.1).
//!
//! All gateways of a region have its private key, and derive the keys of tickets from it and from the time.
//! So they agree without a word, and keys change every [`WINDOW`].

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use floodgate_event::seal::OpeningKey;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Prk, Salt};
use ring::rand::{SecureRandom as _, SystemRandom};
use rustls::server::ProducesTickets;

/// How long tickets are made with the same key. They open in this time and in the next one.
const WINDOW: Duration = Duration::from_secs(12 * 60 * 60);
const SALT: &[u8] = b"floodgate/tls-ticket/v1";
/// The bytes of a ticket's own random number.
const RANDOM: usize = 32;
/// The number of the window, and the random number.
const HEAD: usize = size_of::<u64>() + RANDOM;
/// The most bytes of a ticket. A session without a client's certificate takes about 200.
const MAX_TICKET: usize = 4 * 1024;

/// Returns the current time. Tests pass a clock of their own.
pub type Clock = fn() -> SystemTime;

/// Seals sessions for the gateways of one region.
pub struct Tickets {
    secret: Prk,
    clock: Clock,
    /// Part of each key: a session without a client's certificate must not be resumed where one is asked for.
    asks_clients: &'static [u8],
}

impl Tickets {
    /// Derives the keys from the region's private key. Gateways that ask clients for certificates, and those
    /// that do not, open no tickets of each other.
    pub fn new(key: &OpeningKey, clock: Clock, asks_clients: bool) -> Self {
        let secret = Salt::new(HKDF_SHA256, SALT).extract(key.to_text().expose().as_bytes());
        Self { secret, clock, asks_clients: if asks_clients { b"clients" } else { b"" } }
    }

    fn window(&self) -> u64 {
        let since = (self.clock)().duration_since(UNIX_EPOCH).unwrap_or_default();
        since.as_secs() / WINDOW.as_secs()
    }

    /// The key of one ticket. No key seals twice, so its nonce may always be the same.
    fn key(&self, head: &[u8]) -> Option<LessSafeKey> {
        let info = [head, self.asks_clients];
        let okm = self.secret.expand(&info, &CHACHA20_POLY1305).ok()?;
        Some(LessSafeKey::new(UnboundKey::from(okm)))
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    /// As long as a ticket opens at least.
    fn lifetime(&self) -> u32 {
        u32::try_from(WINDOW.as_secs()).unwrap_or(u32::MAX)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let mut random = [0; RANDOM];
        SystemRandom::new().fill(&mut random).ok()?;
        let mut ticket = self.window().to_be_bytes().to_vec();
        ticket.extend_from_slice(&random);
        let key = self.key(&ticket)?;
        let mut sealed = plain.to_vec();
        key.seal_in_place_append_tag(nonce(), Aad::from(&ticket), &mut sealed).ok()?;
        ticket.append(&mut sealed);
        (ticket.len() <= MAX_TICKET).then_some(ticket)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        if ticket.len() > MAX_TICKET {
            return None;
        }
        let (head, sealed) = ticket.split_at_checked(HEAD)?;
        let window = u64::from_be_bytes(*head.first_chunk()?);
        let current = self.window();
        if window != current && current.checked_sub(1) != Some(window) {
            return None;
        }
        let mut plain = sealed.to_vec();
        let length = self.key(head)?.open_in_place(nonce(), Aad::from(head), &mut plain).ok()?.len();
        plain.truncate(length);
        Some(plain)
    }
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tickets")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 40_000 * WINDOW.as_secs();

    fn at(key: &OpeningKey, clock: Clock) -> Tickets {
        Tickets::new(key, clock, false)
    }

    fn seconds(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_ticket_opens_in_its_window_and_in_the_next() {
        let key = OpeningKey::generate();
        let ticket = at(&key, || seconds(START)).encrypt(b"a session").unwrap();
        let opens =
            |clock: Clock| at(&key, clock).decrypt(&ticket).is_some_and(|plain| plain == b"a session");
        assert!(opens(|| seconds(START)) && opens(|| seconds(START + 2 * WINDOW.as_secs() - 1)));
        assert!(!opens(|| seconds(START + 2 * WINDOW.as_secs())) && !opens(|| seconds(START - 1)));
        assert_eq!(at(&OpeningKey::generate(), || seconds(START)).decrypt(&ticket), None);
    }

    #[test]
    fn an_altered_ticket_does_not_open() {
        let tickets = at(&OpeningKey::generate(), || seconds(START));
        let ticket = tickets.encrypt(b"a session").unwrap();
        assert_ne!(ticket, tickets.encrypt(b"a session").unwrap());
        for at in 0..ticket.len() {
            let mut altered = ticket.clone();
            altered[at] ^= 1;
            assert_eq!(tickets.decrypt(&altered), None, "byte {at}");
            assert_eq!(tickets.decrypt(&ticket[..at]), None);
        }
        assert_eq!(tickets.encrypt(&[0; MAX_TICKET]), None);
        assert!(!format!("{tickets:?}").contains("Prk"));
    }
}
