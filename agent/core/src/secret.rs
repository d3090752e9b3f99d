//! Types for what must never be stored or printed: credentials and payload. Their `Debug` says
//! nothing, they have no `Display` and no `Serialize`, and they are wiped when dropped.

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

/// Text that a process sent or received. Wiped on drop.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Payload(Zeroizing<String>);

impl Payload {
    /// What is in it. Whoever calls this must not let it out of memory.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Appends `text` as far as the total stays within `limit` bytes. Says whether all of it fitted.
    pub fn push_within(&mut self, text: &str, limit: usize) -> bool {
        let room = limit.saturating_sub(self.0.len());
        let end = text.floor_char_boundary(room);
        self.0.push_str(&text[..end]);
        end == text.len()
    }
}

impl From<String> for Payload {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.0.len())
    }
}

/// The key under which credentials are fingerprinted. Hosts that share it give one credential one
/// fingerprint. Wiped on drop.
#[derive(Clone)]
pub struct FingerprintKey(Zeroizing<[u8; 32]>);

impl FingerprintKey {
    /// Takes 32 random bytes, leaving zeros behind.
    #[must_use]
    pub fn new(mut bytes: [u8; 32]) -> Self {
        let key = Self(Zeroizing::new(bytes));
        bytes.zeroize();
        key
    }

    /// HMAC-SHA256 of `scheme ‖ 0 ‖ credential`, cut to 128 bits.
    #[must_use]
    pub fn fingerprint(&self, scheme: &str, credential: &[u8]) -> Fingerprint {
        let mut sealing = self.sealing(scheme);
        sealing.update(credential);
        sealing.finish()
    }

    /// The same of what comes in pieces.
    #[must_use]
    pub fn sealing(&self, scheme: &str) -> Sealing {
        let mut mac = match Hmac::<Sha256>::new_from_slice(self.0.as_slice()) {
            Ok(mac) => mac,
            Err(_impossible) => unreachable!("HMAC takes a key of any length"),
        };
        mac.update(scheme.as_bytes());
        mac.update(&[0]);
        Sealing(mac)
    }
}

/// A fingerprint that is being made. Nothing of what goes in is kept.
#[derive(Clone)]
pub struct Sealing(Hmac<Sha256>);

impl Sealing {
    /// The next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// What stands for all pieces together.
    #[must_use]
    pub fn finish(self) -> Fingerprint {
        let digest = self.0.finalize().into_bytes();
        Fingerprint(digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect())
    }
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealing")
    }
}

impl fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FingerprintKey")
    }
}

/// What stands for a credential in every record: 32 hexadecimal digits from which the credential
/// can't be found without the key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Its digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is no [`Fingerprint`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint is 32 hexadecimal digits in lower case")]
pub struct ParseFingerprintError;

impl FromStr for Fingerprint {
    type Err = ParseFingerprintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        let is_print = text.len() == 32 && text.bytes().all(is_digit);
        if is_print { Ok(Self(text.to_owned())) } else { Err(ParseFingerprintError) }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_secret() {
        let payload = Payload::from("attack at dawn".to_owned());
        let key = FingerprintKey::new([0x41; 32]);
        let shown = format!("{payload:?} {key:?}");
        assert_eq!(shown, "Payload(14 bytes) FingerprintKey");
    }

    #[test]
    fn a_fingerprint_depends_on_key_scheme_and_credential() {
        let key = FingerprintKey::new([1; 32]);
        let one = key.fingerprint("bearer", b"sk-1");
        assert_eq!(one.to_string().len(), 32);
        assert_eq!(one.to_string().parse().as_ref(), Ok(&one));
        assert_eq!("sk-1".parse::<Fingerprint>(), Err(ParseFingerprintError));
        assert_eq!(one, key.fingerprint("bearer", b"sk-1"));
        assert_ne!(one, key.fingerprint("bearer", b"sk-2"));
        assert_ne!(one, key.fingerprint("x-api-key", b"sk-1"));
        let mut sealing = key.sealing("bearer");
        sealing.update(b"sk");
        sealing.update(b"-1");
        assert_eq!(one, sealing.finish());
        assert_ne!(one, FingerprintKey::new([2; 32]).fingerprint("bearer", b"sk-1"));
    }

    #[test]
    fn payload_is_cut_at_a_character() {
        let mut payload = Payload::default();
        assert!(payload.push_within("ab", 4));
        assert!(!payload.push_within("äöü", 4));
        assert_eq!(payload.expose(), "abä");
    }
}
