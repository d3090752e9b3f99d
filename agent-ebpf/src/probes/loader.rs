//! The dynamic loader calls `_dl_debug_state` whenever it has changed the list of loaded objects:
//! once before a program's `main`, and around every `dlopen`, before `dlopen` returns.

use aya_ebpf::macros::uprobe;
use aya_ebpf::programs::ProbeContext;
use weir_ebpf::loss::Cause;
use weir_ebpf::record::{Head, kind};

use crate::maps::{RING, count_lost};
use crate::{stamp, wake};

#[uprobe]
fn loader_enter(_ctx: ProbeContext) -> u32 {
    if stamp::watched_tgid().is_none() {
        return 0;
    }
    let head = stamp::head(kind::LOADED, stamp::start_ns(stamp::current_task()));
    match RING.reserve::<Head>(0) {
        Some(mut entry) => {
            entry.write(head);
            entry.submit(wake::URGENT);
        }
        None => count_lost(Cause::Control, 0),
    }
    0
}
