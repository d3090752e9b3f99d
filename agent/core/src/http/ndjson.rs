//! JSON texts that stand on a line each (`application/x-ndjson`, JSON Lines), cut anywhere.

use zeroize::Zeroizing;

/// Longest line that is read, in bytes: as much as is kept of any body.
pub const MAX_LINE: usize = 8 * 1024 * 1024;

/// Splits a body into its lines.
#[derive(Debug, Default)]
pub struct Lines {
    /// The current line as far as it has come.
    line: Zeroizing<Vec<u8>>,
    /// What is left of the current line is of no use: it began before a hole, or is too long.
    skip: bool,
    dropped: u64,
}

impl Lines {
    /// Takes part of a body and hands each line that ends in it to `emit`, without its end. Empty
    /// lines are passed over.
    pub fn feed(&mut self, mut input: &[u8], mut emit: impl FnMut(&[u8])) {
        while let Some(end) = input.iter().position(|&byte| byte == b'\n') {
            self.extend(&input[..end]);
            self.end(&mut emit);
            input = &input[end + 1..];
        }
        self.extend(input);
    }

    /// The body has ended. Its last line needs no newline.
    pub fn end(&mut self, mut emit: impl FnMut(&[u8])) {
        let line = self.line.trim_ascii();
        if !std::mem::take(&mut self.skip) && !line.is_empty() {
            emit(line);
        }
        self.line.clear();
    }

    /// Says that bytes are missing here: the line they belong to is dropped.
    pub fn lose(&mut self) {
        self.drop_line();
    }

    /// How many lines were too long or damaged.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Bytes held back.
    #[must_use]
    pub fn footprint(&self) -> usize {
        self.line.capacity()
    }

    fn extend(&mut self, bytes: &[u8]) {
        if self.skip {
            return;
        }
        if self.line.len() + bytes.len() > MAX_LINE {
            return self.drop_line();
        }
        self.line.extend_from_slice(bytes);
    }

    fn drop_line(&mut self) {
        self.line.clear();
        self.dropped += u64::from(!std::mem::replace(&mut self.skip, true));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(parts: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        let mut collect = |line: &[u8]| found.push(String::from_utf8_lossy(line).into_owned());
        for part in parts {
            lines.feed(part, &mut collect);
        }
        lines.end(&mut collect);
        found
    }

    #[test]
    fn lines_of_every_ending() {
        for (body, lines) in [
            ("{}\n[1]\n", vec!["{}", "[1]"]),
            ("{}\r\n\r\n\n {} \n", vec!["{}", "{}"]),
            ("{}\nno newline", vec!["{}", "no newline"]),
            ("\n\n", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(split(&[body.as_bytes()]), lines, "{body:?}");
        }
    }

    #[test]
    fn a_hole_costs_one_line() {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        let mut collect = |line: &[u8]| found.push(line.to_vec());
        lines.feed(b"a\ndam", &mut collect);
        lines.lose();
        lines.feed(b"aged\nb\n", &mut collect);
        lines.lose();
        lines.end(&mut collect);
        assert_eq!(found, [b"a".to_vec(), b"b".to_vec()]);
        assert_eq!(lines.dropped(), 2);
    }

    #[test]
    fn an_endless_line_is_bounded() {
        let mut lines = Lines::default();
        let block = vec![b'x'; 1 << 20];
        for _ in 0..20 {
            lines.feed(&block, |_| panic!("no line has ended"));
        }
        assert!(lines.footprint() <= 2 * MAX_LINE);
        let mut found = 0;
        lines.feed(b"\nnext\n", |_| found += 1);
        assert_eq!((found, lines.dropped()), (1, 1));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same(
            body in "([a-c ]{0,5}(\r\n|\n)){0,6}[a-c]{0,2}",
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
        ) {
            let bytes = body.as_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let parts: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(split(&parts), split(&[bytes]));
        }
    }
}
