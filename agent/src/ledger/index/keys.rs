//! Keys of the index: a letter, then big-endian numbers, so that they sort as the numbers do.

use weir_core::meter::BatchKey;
use weir_core::units::Timestamp;

use crate::ledger::day::Day;

/// What the index covers.
pub(super) const STATE: &[u8] = b"s";
/// Sums: day of the file, hour of the calls, chunk of traits.
pub(super) const ROLLUP: u8 = b'r';
/// Where the calls and edges of an hour are: day of the file, hour of the calls.
pub(super) const EXTENT: u8 = b'x';
/// Loss intervals: day of the file, sequence number.
pub(super) const LOSS: u8 = b'l';
/// Gaps in coverage: day of the file, sequence number.
pub(super) const GAP: u8 = b'g';
/// Blind spots: day of the file, sequence number.
pub(super) const BLIND: u8 = b'w';
/// Where the records are that bill answers: day of the file, first bits of the hash of the answers' ids,
/// number of the page.
pub(super) const ANSWER: u8 = b'a';
/// Where the record is that says whose a batch or a file of results is: day of the file, its key.
pub(super) const BATCH: u8 = b'b';
/// Sums: day of a file that is complete, first hour of the day of the calls, chunk of traits.
pub(super) const DAILY: u8 = b'R';
/// Each kind of row that goes when its file goes.
pub(super) const OF_A_DAY: [u8; 8] = [ROLLUP, DAILY, EXTENT, LOSS, GAP, BLIND, ANSWER, BATCH];

/// How many sets of traits share one row of sums. Few enough that a row stays far below the size at
/// which the store would put it into a file of its own.
pub(super) const CHUNK: u32 = 64;

/// An hour of UTC, counted from 1970. Every [`Timestamp`] is in one: `-105e6 < number < 105e6`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::ledger) struct Hour(i32);

impl Hour {
    /// The hour that `time` is in.
    pub(in crate::ledger) fn of(time: Timestamp) -> Self {
        let hour = time.as_second().div_euclid(3600);
        // A timestamp before 1970 rounds its seconds up; its nanoseconds tell.
        let early = time.as_second().rem_euclid(3600) == 0 && time.subsec_nanosecond() < 0;
        Self(i32::try_from(hour).unwrap_or(i32::MAX) - i32::from(early))
    }

    pub(in crate::ledger) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The first hour of its day.
    pub(super) const fn day(self) -> Self {
        Self(self.0 - self.0.rem_euclid(24))
    }

    /// The first hour of a day that is not before this one.
    pub(super) const fn next_day(self) -> Self {
        Self(self.0.saturating_add(23)).day()
    }

    /// Whether `time` is its very beginning.
    pub(in crate::ledger) fn begins_at(time: Timestamp) -> bool {
        time.as_second().rem_euclid(3600) == 0 && time.subsec_nanosecond() == 0
    }

    const fn sortable(self) -> u32 {
        self.0.cast_unsigned() ^ (1 << 31)
    }
}

/// Start of all keys of that kind and day.
pub(super) fn of_day(kind: u8, day: Day) -> Vec<u8> {
    let mut key = vec![kind];
    key.extend_from_slice(&day.number().to_be_bytes());
    key
}

/// Start of all keys of that kind, day and hour.
pub(super) fn of_hour(kind: u8, day: Day, hour: Hour) -> Vec<u8> {
    let mut key = of_day(kind, day);
    key.extend_from_slice(&hour.sortable().to_be_bytes());
    key
}

/// Key of a row of sums of that kind.
pub(super) fn sums(kind: u8, day: Day, hour: Hour, chunk: u32) -> Vec<u8> {
    let mut key = of_hour(kind, day, hour);
    key.extend_from_slice(&chunk.to_be_bytes());
    key
}

/// Key of a loss, a gap or a blind spot.
pub(super) fn of_line(kind: u8, day: Day, seq: u64) -> Vec<u8> {
    let mut key = of_day(kind, day);
    key.extend_from_slice(&seq.to_be_bytes());
    key
}

/// Start of the keys of pages of places of answers, of those whose hash begins so.
pub(super) fn of_bucket(day: Day, bucket: u8) -> Vec<u8> {
    let mut key = of_day(ANSWER, day);
    key.push(bucket);
    key
}

/// Key of such a page.
pub(super) fn page(day: Day, bucket: u8, number: u32) -> Vec<u8> {
    let mut key = of_bucket(day, bucket);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// The number in the key of such a page.
pub(super) fn page_of(key: &[u8]) -> Option<u32> {
    number_at(key, 6)
}

/// Key of the place of a batch's record.
pub(super) fn batch(day: Day, batch: BatchKey) -> Vec<u8> {
    let mut key = of_day(BATCH, day);
    key.extend_from_slice(&batch.0);
    key
}

/// Key of a set of traits by its number.
pub(super) fn traits(number: u32) -> Vec<u8> {
    let mut key = vec![b'd'];
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// Key of the number of a set of traits, by the hash of the traits.
pub(super) fn traits_number(hash: &[u8]) -> Vec<u8> {
    let mut key = vec![b'h'];
    key.extend_from_slice(hash);
    key
}

/// The day in a key of one of the kinds in [`OF_A_DAY`].
pub(super) fn day_of(key: &[u8]) -> Option<Day> {
    number_at(key, 1).map(Day::from_number)
}

/// The hour in a key that has one.
pub(super) fn hour_of(key: &[u8]) -> Option<Hour> {
    number_at(key, 5).map(|sortable| Hour((sortable ^ (1 << 31)).cast_signed()))
}

/// The chunk in the key of a row of sums.
pub(super) fn chunk_of(key: &[u8]) -> Option<u32> {
    number_at(key, 9)
}

fn number_at(key: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*key.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn hours_sort_in_keys_as_in_time(a in -377_705_000_000i64..253_402_000_000, b in -377_705_000_000i64..253_402_000_000, nanos in 0..1_000_000_000i64) {
            let at = |second| Timestamp::from_second(second).unwrap();
            let (day, hours) = (Day::FIRST, [Hour::of(at(a)), Hour::of(at(b))]);
            let keys = hours.map(|hour| sums(ROLLUP, day, hour, 7));
            prop_assert_eq!(hours[0].cmp(&hours[1]), keys[0].cmp(&keys[1]));
            prop_assert_eq!(hour_of(&keys[0]), Some(hours[0]));
            prop_assert_eq!(chunk_of(&keys[0]), Some(7));
            let within = at(a.div_euclid(3600) * 3600) + jiff::SignedDuration::from_nanos(nanos);
            prop_assert_eq!(Hour::of(within), hours[0]);
        }
    }
}
