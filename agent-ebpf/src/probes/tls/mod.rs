//! The calls of OpenSSL and those like it, of GnuTLS, and of NSPR for NSS; [`go`] has those of Go's own
//! library. Arguments are kept from entry to return, because only the return says how many bytes there
//! were; what a connection has sent and received is counted whether it is copied or not, so that a
//! position always means the same byte.
//!
//! Neither is seen exactly at the entry or the return: user space chooses the instructions
//! (`agent/src/capture/site`), and the cookie says how far the stack pointer has moved until there.

mod call;
pub(crate) mod connection;
pub(crate) mod copy;
mod go;
mod layer;
pub(crate) mod register;

pub(crate) use call::{Call, Way};
pub(crate) use connection::Connection;

use aya_ebpf::EbpfContext as _;
use aya_ebpf::macros::{uprobe, uretprobe};
use aya_ebpf::programs::{ProbeContext, RetProbeContext};

use call::Says;

#[uprobe]
fn read_enter(ctx: ProbeContext) -> u32 {
    call::enter(&ctx, Way::Read, Says::Returned);
    0
}

#[uprobe]
fn read_ex_enter(ctx: ProbeContext) -> u32 {
    call::enter(&ctx, Way::Read, Says::Left);
    0
}

#[uprobe]
fn layer_read_enter(ctx: ProbeContext) -> u32 {
    layer::enter(&ctx, Way::Read, Says::Returned);
    0
}

#[uprobe]
fn layer_recv_enter(ctx: ProbeContext) -> u32 {
    if !layer::only_peeks(&ctx) {
        layer::enter(&ctx, Way::Read, Says::Returned);
    }
    0
}

#[uretprobe]
fn read_return(ctx: RetProbeContext) -> u32 {
    call::leave(&ctx, Way::Read, register::entry_stack_of_returned(&ctx));
    0
}

#[uprobe]
fn read_exit(ctx: ProbeContext) -> u32 {
    call::leave(&returning(&ctx), Way::Read, register::entry_stack(&ctx));
    0
}

#[uretprobe]
fn read_more(ctx: RetProbeContext) -> u32 {
    copy::resume(&ctx, Way::Read);
    0
}

#[uprobe]
fn write_enter(ctx: ProbeContext) -> u32 {
    call::enter(&ctx, Way::Write, Says::Returned);
    0
}

#[uprobe]
fn write_ex_enter(ctx: ProbeContext) -> u32 {
    call::enter(&ctx, Way::Write, Says::Left);
    0
}

#[uprobe]
fn write_ex2_enter(ctx: ProbeContext) -> u32 {
    call::enter(&ctx, Way::Write, Says::LeftFifth);
    0
}

#[uprobe]
fn write_file_enter(ctx: ProbeContext) -> u32 {
    call::enter(&ctx, Way::Write, Says::Scattered);
    0
}

#[uprobe]
fn write_held_enter(ctx: ProbeContext) -> u32 {
    call::enter(&ctx, Way::Write, Says::Nothing);
    0
}

#[uprobe]
fn layer_write_enter(ctx: ProbeContext) -> u32 {
    layer::enter(&ctx, Way::Write, Says::Returned);
    0
}

#[uprobe]
fn layer_writev_enter(ctx: ProbeContext) -> u32 {
    layer::enter(&ctx, Way::Write, Says::Scattered);
    0
}

#[uretprobe]
fn write_return(ctx: RetProbeContext) -> u32 {
    call::leave(&ctx, Way::Write, register::entry_stack_of_returned(&ctx));
    0
}

#[uprobe]
fn write_exit(ctx: ProbeContext) -> u32 {
    call::leave(&returning(&ctx), Way::Write, register::entry_stack(&ctx));
    0
}

#[uretprobe]
fn write_more(ctx: RetProbeContext) -> u32 {
    copy::resume(&ctx, Way::Write);
    0
}

#[uretprobe]
fn open_return(ctx: RetProbeContext) -> u32 {
    connection::close(ctx.ret());
    0
}

#[uprobe]
fn open_exit(ctx: ProbeContext) -> u32 {
    connection::close(returning(&ctx).ret());
    0
}

#[uprobe]
fn close_enter(ctx: ProbeContext) -> u32 {
    if let Some(address) = ctx.arg(0) {
        connection::close(address);
    }
    0
}

/// At a site just before the return the result is where it will be after it.
#[inline(always)]
fn returning(ctx: &ProbeContext) -> RetProbeContext {
    RetProbeContext::new(ctx.as_ptr())
}
