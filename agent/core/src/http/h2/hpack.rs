//! Header blocks of one direction (HPACK, RFC 7541), joined at any time: what refers to a field that
//! was sent before is left out and said to be missing, never guessed.

use std::sync::Arc;

use httlib_huffman::DecoderSpeed;
use zeroize::Zeroizing;

use super::table::{Field, Table, Text};
use crate::http::head::MAX_HEADERS;

/// Most bytes that a number may have: what a table or a block can't have is no number.
const MAX_NUMBER: usize = 5;

/// Reads the blocks of one direction, all of them and in order.
#[derive(Debug)]
pub(super) struct Decoder {
    table: Table,
}

/// What a block says.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// The fields that are known, in order. At most [`MAX_HEADERS`].
    pub(super) known: Vec<Field>,
    /// There are others, which refer to what was sent before anybody looked.
    pub(super) incomplete: bool,
    /// There are more than [`MAX_HEADERS`].
    pub(super) overfull: bool,
}

/// The bytes are no header block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl Decoder {
    pub(super) const fn new() -> Self {
        Self { table: Table::new() }
    }

    /// Reads a whole block. After one that can't be read, what its direction has said before is
    /// unknown.
    pub(super) fn decode(&mut self, block: &[u8]) -> Result<Fields, Malformed> {
        let fields = self.fields(block);
        if fields.is_err() {
            self.forget();
        }
        fields
    }

    /// A block was missed: nobody knows what it has inserted.
    pub(super) fn forget(&mut self) {
        self.table.forget();
    }

    /// Bytes held back, about.
    pub(super) fn footprint(&self) -> usize {
        self.table.footprint()
    }

    fn fields(&mut self, mut block: &[u8]) -> Result<Fields, Malformed> {
        let mut fields = Fields::default();
        let mut begun = false;
        while let Some(&first) = block.first() {
            // RFC 7541, section 6: the first bits tell what it is.
            let field = match first.leading_zeros() {
                0 => match number(&mut block, 7)? {
                    0 => return Err(Malformed),
                    number => self.table.field(number),
                },
                1 => {
                    let (field, length) = self.literal(&mut block, 6)?;
                    self.table.insert(field.clone(), length);
                    field
                }
                2 if begun => return Err(Malformed),
                2 => {
                    // The other side's SETTINGS_HEADER_TABLE_SIZE only allows this. What counts is
                    // what the sender makes of it.
                    self.table.resize(number(&mut block, 5)?);
                    continue;
                }
                _ => self.literal(&mut block, 4)?.0,
            };
            begun = true;
            match field {
                None => fields.incomplete = true,
                Some(_) if fields.known.len() == MAX_HEADERS => fields.overfull = true,
                Some(field) => fields.known.push(field),
            }
        }
        Ok(fields)
    }

    /// A field with its value in full, if its name is known, and the length of what is known.
    fn literal(&self, block: &mut &[u8], prefix: u32) -> Result<(Option<Field>, usize), Malformed> {
        let name = match number(block, prefix)? {
            0 => Some(text(block)?),
            number => self.table.field(number).map(|field| field.name),
        };
        let value = text(block)?;
        let length = name.as_ref().map_or(0, |name| name.bytes().len()) + value.bytes().len();
        Ok((name.map(|name| Field { name, value }), length))
    }
}

/// A number whose first byte has `prefix` bits for it (RFC 7541, section 5.1).
fn number(block: &mut &[u8], prefix: u32) -> Result<usize, Malformed> {
    let (&first, mut rest) = block.split_first().ok_or(Malformed)?;
    let most = (1usize << prefix) - 1;
    let mut value = usize::from(first) & most;
    if value == most {
        let mut more = true;
        let mut shift = 0;
        while more {
            let (&byte, after) = rest.split_first().ok_or(Malformed)?;
            if shift == 7 * MAX_NUMBER {
                return Err(Malformed);
            }
            value += usize::from(byte & 0x7f) << shift;
            more = byte & 0x80 != 0;
            shift += 7;
            rest = after;
        }
    }
    *block = rest;
    Ok(value)
}

/// A string (RFC 7541, section 5.2).
fn text(block: &mut &[u8]) -> Result<Text, Malformed> {
    let coded = block.first().is_some_and(|&first| first & 0x80 != 0);
    let length = number(block, 7)?;
    let (sent, rest) = block.split_at_checked(length).ok_or(Malformed)?;
    *block = rest;
    let mut bytes = Zeroizing::new(Vec::new());
    if coded {
        // The shortest codes have five bits. What was reserved is never moved, and so wiped.
        bytes.reserve_exact(sent.len() * 8 / 5 + 1);
        let decoded = httlib_huffman::decode(sent, &mut bytes, DecoderSpeed::FourBits);
        decoded.map_err(|_error| Malformed)?;
    } else {
        bytes.extend_from_slice(sent);
    }
    Ok(Text::Sent(Arc::new(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::h2::table::MAX_TABLE;
    use proptest::prelude::*;

    fn show(fields: &Fields) -> Vec<String> {
        let lossy = |text: &Text| String::from_utf8_lossy(text.bytes()).into_owned();
        let mut lines: Vec<String> = fields
            .known
            .iter()
            .map(|field| format!("{}: {}", lossy(&field.name), lossy(&field.value)))
            .collect();
        lines.extend(fields.incomplete.then(|| "…".to_owned()));
        lines
    }

    fn unhex(text: &str) -> Vec<u8> {
        let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
        let byte = |pair: &[char]| pair.iter().collect::<String>();
        digits.chunks(2).map(|pair| u8::from_str_radix(&byte(pair), 16).unwrap()).collect()
    }

    /// RFC 7541, appendix C.4 and C.6.
    const REQUESTS: [(&str, &[&str]); 3] = [
        (
            "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
            &[":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"],
        ),
        (
            "8286 84be 5886 a8eb 1064 9cbf",
            &[
                ":method: GET",
                ":scheme: http",
                ":path: /",
                ":authority: www.example.com",
                "cache-control: no-cache",
            ],
        ),
        (
            "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
            &[
                ":method: GET",
                ":scheme: https",
                ":path: /index.html",
                ":authority: www.example.com",
                "custom-key: custom-value",
            ],
        ),
    ];

    #[test]
    fn blocks_build_on_each_other() {
        let mut decoder = Decoder::new();
        for (block, fields) in REQUESTS {
            assert_eq!(show(&decoder.decode(&unhex(block)).unwrap()), fields);
        }
    }

    #[test]
    fn answers_of_a_small_table_evict_each_other() {
        let mut decoder = Decoder::new();
        decoder.table.resize(256);
        for (block, fields) in [
            (
                "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 \
                 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
                [
                    ":status: 302",
                    "cache-control: private",
                    "date: Mon, 21 Oct 2013 20:13:21 GMT",
                    "location: https://www.example.com",
                ],
            ),
            (
                "4883 640e ffc1 c0bf",
                [
                    ":status: 307",
                    "cache-control: private",
                    "date: Mon, 21 Oct 2013 20:13:21 GMT",
                    "location: https://www.example.com",
                ],
            ),
        ] {
            assert_eq!(show(&decoder.decode(&unhex(block)).unwrap()), fields);
        }
        assert_eq!(decoder.table.field(65).map(|field| field.value.bytes().len()), Some(7));
        assert!(decoder.table.field(66).is_none());
    }

    #[test]
    fn what_was_said_before_is_unknown_and_what_is_said_after_is_known() {
        let mut decoder = Decoder::new();
        let late = decoder.decode(&unhex(REQUESTS[1].0)).unwrap();
        assert_eq!(
            show(&late),
            [":method: GET", ":scheme: http", ":path: /", "cache-control: no-cache", "…"]
        );
        // `no-cache` was inserted before our eyes; the authority, one further, wasn't.
        let later = decoder.decode(&[0x82, 0xbe, 0xbf]).unwrap();
        assert_eq!(show(&later), [":method: GET", "cache-control: no-cache", "…"]);
        // An entry under a name that is unknown is unknown, and has its number.
        let unnamed = decoder.decode(&[0x7f, 0, 1, b'x', 0xbe, 0xbf]).unwrap();
        assert_eq!(show(&unnamed), ["cache-control: no-cache", "…"]);
        decoder.forget();
        assert_eq!(show(&decoder.decode(&[0xbe, 0xbf]).unwrap()), ["…"]);
    }

    #[test]
    fn literals_of_every_kind() {
        for (block, fields) in [
            (&[0x00, 1, b'a', 1, b'b'][..], &["a: b"][..]),
            (&[0x10, 1, b'a', 1, b'b', 0xbe], &["a: b", "…"]),
            (&[0x40, 1, b'a', 1, b'b', 0xbe], &["a: b", "a: b"]),
            (&[0x3f, 0xe1, 0x1f, 0x20, 0x40, 1, b'a', 1, b'b', 0xbe], &["a: b", "…"]),
            (&[0x08, 3, b'4', b'2', b'9'], &[":status: 429"]),
            (&[], &[]),
        ] {
            assert_eq!(show(&Decoder::new().decode(block).unwrap()), fields, "{block:x?}");
        }
    }

    #[test]
    fn what_is_no_block_is_refused() {
        for block in [
            &[0x80][..],
            &[0xff],
            &[0xff, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
            &[0x40, 1],
            &[0x40, 0x7f, 0xff],
            &[0x82, 0x20],
            &[0x40, 0x82, 0xff, 0xff],
            &[0x00, 0x84, 0xff, 0xff, 0xff, 0xff, 0],
        ] {
            assert_eq!(Decoder::new().decode(block).err(), Some(Malformed), "{block:x?}");
        }
    }

    #[test]
    fn tables_are_bounded_whatever_is_allowed() {
        let mut decoder = Decoder::new();
        let mut block = vec![0x3f, 0xff, 0xff, 0x7f];
        for name in 0..60u8 {
            block.extend([0x40, 1, name, 0x7f, 0x81, 0x1f]);
            block.extend([b'x'; 4096]);
        }
        let fields = decoder.decode(&block).unwrap();
        assert_eq!(fields.known.len(), 60);
        assert!(decoder.footprint() < 2 * MAX_TABLE);
        assert!(decoder.table.field(62).is_some() && decoder.table.field(62 + 30).is_none());
        let many = decoder.decode(&[0xbe; 1000]).unwrap();
        assert!(many.overfull && many.known.len() == MAX_HEADERS);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(blocks in prop::collection::vec(
            prop::collection::vec(any::<u8>(), 0..80), 0..20,
        )) {
            let mut decoder = Decoder::new();
            for block in blocks {
                drop(decoder.decode(&block));
                prop_assert!(decoder.footprint() < 2 * MAX_TABLE);
            }
        }

        /// The library codes what it decodes, whatever the bytes are.
        #[test]
        fn coded_text_comes_back(plain in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut coded = Vec::new();
            httlib_huffman::encode(&plain, &mut coded).unwrap();
            let mut block = vec![0x00, 1, b'n'];
            let mut length = coded.len();
            if length < 0x7f {
                block.push(0x80 | u8::try_from(length).unwrap());
            } else {
                block.push(0xff);
                length -= 0x7f;
                while length >= 0x80 {
                    block.push(0x80 | u8::try_from(length & 0x7f).unwrap());
                    length >>= 7;
                }
                block.push(u8::try_from(length).unwrap());
            }
            block.extend(coded);
            let fields = Decoder::new().decode(&block).unwrap();
            prop_assert_eq!(fields.known[0].value.bytes(), plain);
        }
    }
}
