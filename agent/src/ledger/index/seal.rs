//! Sums of whole days. A file that is no longer written to doesn't change, so its sums by the hour are
//! added up once, by the day of the calls. That keeps a report over a month short, and costs no
//! write per call.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use sled::Batch;

use super::keys::{self, Hour};
use super::update::{Chunk, decode_chunk, encode_chunk};
use super::{Index, encode, guarded};
use crate::ledger::day::Day;
use crate::ledger::error::IndexError;
use crate::ledger::usage::Usage;

impl Index {
    /// Adds up the days of files that are complete and have no daily sums yet. What a crash leaves half
    /// done is done again.
    pub(super) fn seal(&mut self) -> Result<(), IndexError> {
        let (from, to) = (self.state.sealed, self.state.position.day);
        if from >= to {
            return Ok(());
        }
        let mut state = self.state.clone();
        state.sealed = to;
        guarded(|| {
            let mut file = from;
            let mut sums: BTreeMap<Vec<u8>, Chunk> = BTreeMap::new();
            let range = keys::of_day(keys::ROLLUP, from)..keys::of_day(keys::ROLLUP, to);
            for row in self.db.range(range) {
                let (key, value) = row?;
                let damaged = IndexError::Unreadable("sum");
                let (Some(day), Some(hour), Some(chunk)) =
                    (keys::day_of(&key), keys::hour_of(&key), keys::chunk_of(&key))
                else {
                    return Err(damaged);
                };
                if day != file {
                    self.write_days(std::mem::take(&mut sums))?;
                    file = day;
                }
                let place = keys::sums(keys::DAILY, day, hour.day(), chunk);
                let sum = sums.entry(place).or_default();
                for (number, usage) in decode_chunk(0, &value)? {
                    let low = u8::try_from(number).unwrap_or(u8::MAX);
                    sum.entry(low).or_default().add(&usage);
                }
            }
            self.write_days(sums)?;
            self.db.insert(keys::STATE, encode(&state, "state")?)?;
            Ok(())
        })?;
        self.state = state;
        Ok(())
    }

    fn write_days(&self, sums: BTreeMap<Vec<u8>, Chunk>) -> Result<(), IndexError> {
        let mut batch = Batch::default();
        for (key, chunk) in sums {
            batch.insert(key, encode_chunk(&chunk));
        }
        Ok(self.db.apply_batch(batch)?)
    }

    /// Adds up the calls of whole hours that are in the file of `day`, by the number of their traits.
    pub(in crate::ledger) fn sum(
        &self,
        day: Day,
        hours: Range<Hour>,
        sums: &mut HashMap<u32, Usage>,
    ) -> Result<(), IndexError> {
        let days = if day < self.state.sealed {
            hours.start.next_day()..hours.end.day()
        } else {
            hours.end..hours.end
        };
        guarded(|| {
            if days.start >= days.end {
                return self.sum_rows(keys::ROLLUP, day, hours, sums);
            }
            self.sum_rows(keys::ROLLUP, day, hours.start..days.start, sums)?;
            self.sum_rows(keys::DAILY, day, days.clone(), sums)?;
            self.sum_rows(keys::ROLLUP, day, days.end..hours.end, sums)
        })
    }

    fn sum_rows(
        &self,
        kind: u8,
        day: Day,
        hours: Range<Hour>,
        sums: &mut HashMap<u32, Usage>,
    ) -> Result<(), IndexError> {
        if hours.start >= hours.end {
            return Ok(());
        }
        let from = keys::of_hour(kind, day, hours.start);
        let to = keys::of_hour(kind, day, hours.end);
        for row in self.db.range(from..to) {
            let (key, value) = row?;
            let chunk = keys::chunk_of(&key).ok_or(IndexError::Unreadable("sum"))?;
            for (number, usage) in decode_chunk(chunk, &value)? {
                sums.entry(number).or_default().add(&usage);
            }
        }
        Ok(())
    }
}
