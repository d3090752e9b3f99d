//! The IO shell of `weir`: what touches the kernel, the disk and the network.

pub mod capture;
