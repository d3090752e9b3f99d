//! Where the arguments of the functions are: AWS-LC's by `openssl/aead.h` and the System V ABI (AMD64
//! supplement), ring's as rustc passes them, which whoever finds them has checked. On other machines
//! nobody finds the functions.

use aya_ebpf::helpers::bpf_probe_read_user;
use aya_ebpf::programs::ProbeContext;
use weir_ebpf::sealed::{NONCE, TAG};

use super::Arguments;
use crate::tls::register;

/// The arguments on the stack, from the seventh on. The return address is before them.
#[inline(always)]
fn stacked<const N: usize>(ctx: &ProbeContext) -> Option<[u64; N]> {
    let first = register::entry_stack(ctx).wrapping_add(8);
    // SAFETY: the helper checks the address.
    unsafe { bpf_probe_read_user(first as *const [u64; N]) }.ok()
}

/// `seal(ctx, out, *out_len, max_out_len, nonce, nonce_len, in, in_len, ad, ad_len)`
#[inline(always)]
pub(super) fn of_seal(ctx: &ProbeContext) -> Option<Arguments> {
    let [input, length, additional, additional_length] = stacked(ctx)?;
    Some(Arguments {
        cipher: ctx.arg(0)?,
        out: ctx.arg(1)?,
        nonce: ctx.arg(4)?,
        nonce_length: ctx.arg(5)?,
        input,
        length,
        additional,
        additional_length,
    })
}

/// `seal_scatter(ctx, out, out_tag, *out_tag_len, max_out_tag_len, nonce, nonce_len, in, in_len, extra_in,
/// extra_in_len, ad, ad_len)`. Nobody passes a record in two parts.
#[inline(always)]
pub(super) fn of_seal_scatter(ctx: &ProbeContext) -> Option<Arguments> {
    let [nonce_length, input, length, _extra, extra_length, additional, additional_length] =
        stacked(ctx)?;
    (extra_length == 0).then_some(())?;
    Some(Arguments {
        cipher: ctx.arg(0)?,
        out: ctx.arg(1)?,
        nonce: ctx.arg(5)?,
        nonce_length,
        input,
        length,
        additional,
        additional_length,
    })
}

/// `open(ctx, out, *out_len, max_out_len, nonce, nonce_len, in, in_len, ad, ad_len)`. The tag is part of
/// what it is given.
#[inline(always)]
pub(super) fn of_open(ctx: &ProbeContext) -> Option<Arguments> {
    let sealed = of_seal(ctx)?;
    Some(Arguments { length: sealed.length.checked_sub(TAG)?, ..sealed })
}

/// `open_gather(ctx, out, nonce, nonce_len, in, in_len, in_tag, in_tag_len, ad, ad_len)`
#[inline(always)]
pub(super) fn of_open_gather(ctx: &ProbeContext) -> Option<Arguments> {
    let [_tag, _tag_length, additional, additional_length] = stacked(ctx)?;
    Some(Arguments {
        cipher: ctx.arg(0)?,
        out: ctx.arg(1)?,
        nonce: ctx.arg(2)?,
        nonce_length: ctx.arg(3)?,
        input: ctx.arg(4)?,
        length: ctx.arg(5)?,
        additional,
        additional_length,
    })
}

/// `seal(*result, key, nonce, aad, aad_len, in_out, in_out_len)` of ring's: a nonce is passed by its address.
#[inline(always)]
pub(super) fn of_ring_seal(ctx: &ProbeContext) -> Option<Arguments> {
    let [length] = stacked(ctx)?;
    let text = ctx.arg(5)?;
    Some(Arguments {
        cipher: ctx.arg(1)?,
        out: text,
        nonce: ctx.arg(2)?,
        nonce_length: NONCE,
        input: text,
        length,
        additional: ctx.arg(3)?,
        additional_length: ctx.arg(4)?,
    })
}

/// `open(*result, key, nonce, aad, aad_len, in_out, in_out_len, from)` of ring's: what is sealed begins `from`
/// bytes into what is opened, and its tag is behind that. With it, where the tag is.
#[inline(always)]
pub(super) fn of_ring_open(ctx: &ProbeContext) -> Option<(Arguments, u64)> {
    let [whole, from] = stacked(ctx)?;
    let sealed = of_ring_seal(ctx)?;
    let length = whole.checked_sub(from)?;
    let input = sealed.out.wrapping_add(from);
    Some((Arguments { length, input, ..sealed }, sealed.out.wrapping_add(whole)))
}
