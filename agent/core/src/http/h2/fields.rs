//! From the fields of a header block to a message head.

use super::hpack::Fields;
use crate::http::Side;
use crate::http::coding::UNSAID;
use crate::http::head::{Field, Method, RequestHead, ResponseHead};
use crate::secret::FingerprintKey;

impl Fields {
    /// Which message it begins, as far as its pseudo-header fields tell. Trailers have none.
    pub(super) fn side(&self) -> Option<Side> {
        self.known.iter().find_map(|field| match field.name.bytes() {
            b":method" | b":scheme" | b":authority" | b":path" => Some(Side::Request),
            b":status" => Some(Side::Response),
            _ => None,
        })
    }

    /// The status of an answer.
    pub(super) fn status(&self) -> Option<u16> {
        let digits = self.text(":status").filter(|text| text.len() == 3)?;
        digits.parse().ok()
    }

    /// The head of a request, if its method is known: without it nobody knows what is asked.
    pub(super) fn request(&self, key: &FingerprintKey) -> Option<RequestHead> {
        let method = Method::of(self.text(":method")?.as_bytes());
        let target = self.text(":path").unwrap_or_default();
        let authority = self.text(":authority");
        let fields = self.all()?;
        RequestHead::new(method, target, authority, &fields, key).ok()
    }

    /// The head of an answer.
    pub(super) fn response(&self) -> Option<ResponseHead> {
        ResponseHead::new(self.status()?, &self.all()?).ok()
    }

    fn value(&self, name: &str) -> Option<&[u8]> {
        let mut fields = self.known.iter();
        let found = fields.find(|field| field.name.bytes() == name.as_bytes());
        found.map(|field| field.value.bytes())
    }

    fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.value(name)?).ok()
    }

    fn all(&self) -> Option<Vec<Field<'_>>> {
        if self.overfull {
            return None;
        }
        let known = self.known.iter();
        let mut all: Vec<Field<'_>> =
            known.map(|field| (field.name.bytes(), field.value.bytes())).collect();
        if self.incomplete && self.value("content-encoding").is_none() {
            // It may be among what is unknown.
            all.push((b"content-encoding", UNSAID.as_bytes()));
        }
        Some(all)
    }
}
