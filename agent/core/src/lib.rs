//! The pure half of `weir`: what crosses a TLS connection goes in as bytes, and usage records come
//! out. Nothing here opens a file or a socket, or reads a clock; time is an argument.
//!
//! The rooms, in the order data flows through them (`agent/ARCHITECTURE.md` has the picture):
//! [`stream`] → [`http`] → [`provider`] → [`identity`] → [`meter`], and [`pipeline`] is the only
//! file that knows that order. A room imports only [`units`], [`secret`] and earlier rooms.
//! [`blind`] says which connections nothing was read of, by what [`greeting`] and [`plain`] read of how
//! they begin. [`detect`] reads what was stored, and says what is wrong; [`alert`] says whom to tell, and when.
//! [`replay`] runs transcripts through all of them.

#![forbid(unsafe_code)]

pub mod alert;
pub mod blind;
pub mod detect;
pub mod greeting;
pub mod http;
pub mod identity;
pub mod meter;
pub mod pipeline;
pub mod plain;
pub mod provider;
pub mod replay;
pub mod secret;
pub mod stream;
pub mod units;
