//! Where the records are that bill an answer. There is one for nearly every call, and the store needs
//! several times the space of a small row, so many share one: a page, of those whose ids have a hash
//! that begins alike.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use sled::Batch;

use super::keys;
use super::{Index, guarded};
use crate::ledger::day::Day;
use crate::ledger::error::IndexError;

/// Places in a page. It is written anew for each that is added.
const PAGE: usize = 128;
/// Bytes of the hash of an answer's id, and of the offset of its record.
const HASH: usize = 8;
const PLACE: usize = HASH + 8;

/// Pages that a batch of lines adds to, by day and first bits of the hash: the number of the last page,
/// and what is in it.
#[derive(Default)]
pub(super) struct Pages(BTreeMap<(Day, u8), (u32, Vec<u8>)>);

impl Index {
    /// Where in the file of `day` the records may be that bill the answer of this id, the last first.
    /// Others may have the same hash: whoever asks looks.
    pub(in crate::ledger) fn answers(
        &self,
        day: Day,
        response_id: &str,
    ) -> Result<Vec<u64>, IndexError> {
        let hash = hash(response_id);
        guarded(|| {
            let mut found = Vec::new();
            for row in self.db.scan_prefix(keys::of_bucket(day, bucket(hash))).rev() {
                for place in row?.1.chunks_exact(PLACE).rev() {
                    if let Some((its, offset)) = place.split_first_chunk::<HASH>()
                        && *its == hash
                    {
                        let offset = offset.try_into().map(u64::from_be_bytes);
                        found.push(offset.map_err(|_length| IndexError::Unreadable("place"))?);
                    }
                }
            }
            Ok(found)
        })
    }

    /// Notes that the record at `offset` bills the answer of this id.
    pub(super) fn note_answer(
        &self,
        day: Day,
        response_id: &str,
        offset: u64,
        pages: &mut Pages,
        batch: &mut Batch,
    ) -> Result<(), IndexError> {
        let hash = hash(response_id);
        let bucket = bucket(hash);
        let (number, page) = match pages.0.remove(&(day, bucket)) {
            Some(page) => page,
            None => match self.db.scan_prefix(keys::of_bucket(day, bucket)).next_back() {
                Some(row) => {
                    let (key, value) = row?;
                    let number = keys::page_of(&key).ok_or(IndexError::Unreadable("place"))?;
                    (number, value.to_vec())
                }
                None => (0, Vec::new()),
            },
        };
        let (number, mut page) = if page.len() < PAGE * PLACE {
            (number, page)
        } else {
            batch.insert(keys::page(day, bucket, number), page);
            (number.saturating_add(1), Vec::new())
        };
        page.extend_from_slice(&hash);
        page.extend_from_slice(&offset.to_be_bytes());
        pages.0.insert((day, bucket), (number, page));
        Ok(())
    }
}

impl Pages {
    /// Adds the pages to what is written at once.
    pub(super) fn write(self, batch: &mut Batch) {
        for ((day, bucket), (number, page)) in self.0 {
            batch.insert(keys::page(day, bucket, number), page);
        }
    }
}

fn hash(response_id: &str) -> [u8; HASH] {
    *Sha256::digest(response_id).first_chunk().unwrap_or(&[0; HASH])
}

/// The first six bits: a day with 8,192 answers fills a page of each.
const fn bucket(hash: [u8; HASH]) -> u8 {
    hash[0] >> 2
}
