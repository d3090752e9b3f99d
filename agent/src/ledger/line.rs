//! The form of one line: a JSON object that begins with its sequence number and the hash of the
//! line before it, and ends with a checksum of itself.
//!
//! The chain of hashes shows that no line was changed, removed or put in between. The checksum
//! shows *which* line was damaged, also when no line follows it. Neither is keyed: somebody who may
//! write the whole log can forge it from some line to the end, which shows only where another copy
//! of a later hash is kept.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::entry::{Entry, Kind};

/// The longest line that a reader accepts, newline excluded, in bytes.
pub(super) const LINE_MAX: usize = 1 << 20;
const SUM_PREFIX: &[u8] = b",\"sum\":\"";
const SUM_DIGITS: usize = 16;
/// `,"sum":"` + 16 digits + `"}`.
const SEAL_LEN: usize = SUM_PREFIX.len() + SUM_DIGITS + 2;

/// SHA-256 of a line, its newline excluded.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(super) struct Hash([u8; 32]);

impl Hash {
    /// What stands for the line before the first.
    pub(super) const ZERO: Self = Self([0; 32]);

    pub(super) fn of(line: &[u8]) -> Self {
        Self(Sha256::digest(line).into())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> Self {
        hash.to_string()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("not 64 hexadecimal digits")]
pub(super) struct NotAHash;

impl TryFrom<&str> for Hash {
    type Error = NotAHash;

    fn try_from(text: &str) -> Result<Self, NotAHash> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(NotAHash);
        }
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_not_ascii| NotAHash)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_not_hex| NotAHash)?;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Hash {
    type Error = NotAHash;

    fn try_from(text: String) -> Result<Self, NotAHash> {
        Self::try_from(text.as_str())
    }
}

/// A line as read back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) seq: u64,
    pub(super) prev: Hash,
    pub(super) entry: Entry,
}

/// Why a line can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// It has no checksum at its end, or one that is not its own.
    #[error("its checksum doesn't match: it was changed after it was written")]
    Checksum,
    /// Its checksum is right, but it is not a line of a usage log.
    #[error("it is not a line of a usage log, though its checksum is right")]
    Form,
}

/// Writes an entry as a line, without its newline.
pub(super) fn write(seq: u64, prev: Hash, entry: &Entry) -> serde_json::Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Open<'a> {
        seq: u64,
        prev: Hash,
        #[serde(flatten)]
        entry: &'a Entry,
    }
    let mut line = serde_json::to_vec(&Open { seq, prev, entry })?;
    line.pop();
    let sum = sum(&line);
    line.extend_from_slice(SUM_PREFIX);
    line.extend_from_slice(sum.as_bytes());
    line.extend_from_slice(b"\"}");
    Ok(line)
}

/// Reads a line without its newline.
pub(super) fn read(line: &[u8]) -> Result<Line, Damage> {
    #[derive(Deserialize)]
    struct Head<'a> {
        seq: u64,
        #[serde(borrow)]
        prev: &'a str,
        kind: Kind,
    }
    let (sealed, seal) =
        line.split_at_checked(line.len().wrapping_sub(SEAL_LEN)).ok_or(Damage::Checksum)?;
    let digits = seal.strip_prefix(SUM_PREFIX).and_then(|rest| rest.strip_suffix(b"\"}"));
    if digits != Some(sum(sealed).as_bytes()) {
        return Err(Damage::Checksum);
    }
    let head: Head<'_> = serde_json::from_slice(line).map_err(|_error| Damage::Form)?;
    let prev = Hash::try_from(head.prev).map_err(|NotAHash| Damage::Form)?;
    let entry = Entry::read(head.kind, line).map_err(|_error| Damage::Form)?;
    Ok(Line { seq: head.seq, prev, entry })
}

/// The first 64 bits of SHA-256 of what stands before the checksum.
fn sum(sealed: &[u8]) -> String {
    Sha256::digest(sealed).iter().take(SUM_DIGITS / 2).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::testing::{batch, call, time};
    use proptest::prelude::*;
    use weir_core::identity::{Agent, Assigned, Pod, Workload};
    use weir_core::meter::{BatchResult, Behalf, Creator, Linked};

    #[test]
    fn a_line_reads_back() {
        let entry = Entry::Call(Box::new(call(7, time(3600))));
        let line = write(9, Hash::of(b"x"), &entry).unwrap();
        assert!(line.starts_with(b"{\"seq\":9,\"prev\":\"2d711642"));
        assert!(!line.contains(&b'\n'));
        assert_eq!(read(&line), Ok(Line { seq: 9, prev: Hash::of(b"x"), entry }));
        let entry = Entry::Batch(Box::new(batch(7, "batch_1", time(3600))));
        let line = write(9, Hash::of(b"x"), &entry).unwrap();
        assert_eq!(read(&line), Ok(Line { seq: 9, prev: Hash::of(b"x"), entry }));
    }

    /// A log that was written before there were results of batches.
    #[test]
    fn what_a_record_did_not_say_once_is_not_known() {
        let line = write(9, Hash::ZERO, &Entry::Call(Box::new(call(7, time(0))))).unwrap();
        let text = String::from_utf8(line.clone()).unwrap();
        assert!(!text.contains("result_of") && !text.contains("retrieved_with"));
        let Entry::Call(record) = read(&line).unwrap().entry else { panic!("a call") };
        assert_eq!((record.result_of, record.retrieved_with), (None, None));
    }

    #[test]
    fn the_longest_texts_fit_a_line() {
        let worst = "\u{1}".repeat(1 << 20);
        let mut record = call(1, time(0));
        for text in [&mut record.id.0, &mut record.identity.0, &mut record.provider] {
            text.clone_from(&worst);
        }
        record.process.exe = Some(worst.clone());
        record.unit = Some(worst.clone());
        record.host = Some(worst.clone());
        record.model = Some(worst.clone());
        record.model_requested = Some(worst.clone());
        record.response_id = Some(worst.clone());
        record.error_type = Some(worst.clone());
        record.service_tier = Some(worst.clone());
        record.price_version = Some(worst.clone());
        record.trace_id = Some(worst.clone());
        record.parent_id = Some(worst.clone());
        record.user_agent = Some(worst.clone());
        record.on_behalf_of = Some(Behalf {
            identity: record.identity.clone(),
            agent: Some(worst.clone()),
            by: Linked::Gateway,
            through: vec![worst.clone(); 100],
            recursive: true,
        });
        record.result_of = Some(BatchResult {
            batch: Some(worst.clone()),
            file: Some(worst.clone()),
            creator: Creator::Seen,
        });
        record.credential_ids =
            (0..99).map(|number| (format!("{number}{worst}"), worst.clone())).collect();
        record.workload = Workload {
            pod: Some(Pod {
                uid: worst.clone(),
                name: Some(worst.clone()),
                namespace: Some(worst.clone()),
                service_account: Some(worst.clone()),
            }),
            script: Some(worst.clone()),
            interactive: Some(true),
            assigned: Some(Assigned {
                rule: worst.clone(),
                owner: Some(worst.clone()),
                team: Some(worst.clone()),
                product_line: Some(worst.clone()),
                cost_center: Some(worst.clone()),
                environment: Some(worst.clone()),
                labels: record.credential_ids.clone(),
            }),
            agent: Some(Agent {
                name: worst.clone(),
                pid: u32::MAX,
                depth: u32::MAX,
                through: vec![worst.clone(); 99],
                recursive: true,
            }),
            disputed: vec![worst.clone(); 99],
        };
        record.container = Some(weir_core::identity::Container {
            id: worst.clone(),
            name: Some(worst.clone()),
            image: Some(worst.clone()),
            runtime: Some(worst.clone()),
        });
        let mut created = batch(1, &worst, time(0));
        (created.provider, created.host) = (worst.clone(), worst.clone());
        (created.file, created.told_to) = (Some(worst), Some(record.identity.clone()));
        created.creator.identity = record.identity.clone();
        created.creator.container.clone_from(&record.container);
        created.creator.workload.clone_from(&record.workload);
        created.creator.credential_ids.clone_from(&record.credential_ids);
        for entry in [Entry::Call(Box::new(record)), Entry::Batch(Box::new(created))] {
            let line = write(u64::MAX, Hash::ZERO, &entry.bounded()).unwrap();
            assert!(line.len() <= LINE_MAX, "{}", line.len());
        }
    }

    proptest! {
        #[test]
        fn any_flipped_bit_shows(at in any::<prop::sample::Index>(), bit in 0..8u32) {
            let mut line = write(1, Hash::ZERO, &Entry::Call(Box::new(call(1, time(0))))).unwrap();
            let at = at.index(line.len());
            line[at] ^= 1 << bit;
            prop_assert!(read(&line).is_err());
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(read(&bytes).is_err());
        }
    }
}
