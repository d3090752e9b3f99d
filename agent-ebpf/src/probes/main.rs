//! The probes. Each file is one thing they watch: [`tls`] the library calls, [`aead`] the records of those
//! that have no library, [`process`] the life of processes, [`loader`] the dynamic loader, [`flow`] the
//! connections that are made, whoever reads them. None of them writes to a traced process, and none
//! holds a packet up but [`block`], which is attached only where the configuration blocks somebody.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod aead;
mod block;
mod flow;
mod loader;
mod maps;
mod process;
mod stamp;
mod tls;
mod wake;

/// Lets the kernel offer its GPL-only helpers (reading memory, the current task).
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// The kernel refuses programs that could get here.
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
