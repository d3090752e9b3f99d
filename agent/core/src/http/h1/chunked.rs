//! The chunked transfer coding, cut anywhere.

/// Longest size line or trailer field, in bytes.
const MAX_LINE: usize = 16 * 1024;

/// Where in a chunked body the reader is.
#[derive(Debug)]
pub(super) struct Chunked {
    state: State,
    /// Bytes of the current line, for its bound.
    line: usize,
}

#[derive(Debug)]
enum State {
    /// In a size line. `digits` is how many hexadecimal digits were read, `in_size` whether more
    /// may follow.
    Size { value: u64, digits: u8, in_size: bool },
    /// In a chunk's data. `left` > 0.
    Data { left: u64 },
    /// After a chunk's data.
    DataEnd,
    /// In the trailer. `empty` while the current line has nothing but its end.
    Trailer { empty: bool },
}

/// What comes next in a chunked body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Data.
    Data(&'a [u8]),
    /// The body has ended.
    End,
    /// This is no chunked body.
    Malformed,
}

impl Chunked {
    pub(super) const fn new() -> Self {
        Self { state: Self::size(), line: 0 }
    }

    const fn size() -> State {
        State::Size { value: 0, digits: 0, in_size: true }
    }

    /// Takes what it can from the front of `input`; `None` if more is needed.
    pub(super) fn next<'a>(&mut self, input: &mut &'a [u8]) -> Option<Piece<'a>> {
        loop {
            if let State::Data { left } = &mut self.state {
                let take = input.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                if take == 0 {
                    return None;
                }
                let (data, rest) = input.split_at(take);
                *input = rest;
                *left -= take as u64;
                if *left == 0 {
                    self.state = State::DataEnd;
                }
                return Some(Piece::Data(data));
            }
            let (&byte, rest) = input.split_first()?;
            *input = rest;
            self.line += 1;
            if self.line > MAX_LINE {
                return Some(Piece::Malformed);
            }
            match self.step(byte) {
                Step::Continue => {}
                Step::Done(piece) => return Some(piece),
            }
        }
    }

    fn step(&mut self, byte: u8) -> Step {
        match &mut self.state {
            State::Size { value, digits, in_size } => match byte {
                b'\n' if *digits == 0 => return Step::Done(Piece::Malformed),
                b'\n' => {
                    self.line = 0;
                    self.state = match *value {
                        0 => State::Trailer { empty: true },
                        left => State::Data { left },
                    };
                }
                _ if *in_size && byte.is_ascii_hexdigit() => {
                    *digits += 1;
                    if *digits > 15 {
                        return Step::Done(Piece::Malformed);
                    }
                    let digit = char::from(byte).to_digit(16).unwrap_or(0);
                    *value = *value << 4 | u64::from(digit);
                }
                _ if *digits == 0 => return Step::Done(Piece::Malformed),
                // What follows the size is an extension or the carriage return.
                _ => *in_size = false,
            },
            State::Data { .. } => {}
            State::DataEnd => match byte {
                b'\r' => {}
                b'\n' => {
                    self.line = 0;
                    self.state = Self::size();
                }
                _ => return Step::Done(Piece::Malformed),
            },
            State::Trailer { empty } => match byte {
                b'\r' => {}
                b'\n' if *empty => return Step::Done(Piece::End),
                b'\n' => {
                    self.line = 0;
                    *empty = true;
                }
                _ => *empty = false,
            },
        }
        Step::Continue
    }

    /// Passes over `bytes` that were lost. Says whether the place in the framing is still known,
    /// which it is as long as the hole lies in one chunk's data.
    pub(super) const fn skip(&mut self, bytes: u64) -> bool {
        match &mut self.state {
            State::Data { left } if bytes < *left => {
                *left -= bytes;
                true
            }
            State::Data { left } if bytes == *left => {
                self.state = State::DataEnd;
                true
            }
            _ => false,
        }
    }
}

enum Step {
    Continue,
    Done(Piece<'static>),
}
