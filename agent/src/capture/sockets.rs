//! The tracepoints that show which socket a record comes from or goes to (Linux 6.3). They are on the way
//! of all that the host receives and sends, so they are attached only while there is a program that
//! needs them.

use std::sync::{Arc, Weak};

use aya::Ebpf;
use aya::programs::raw_trace_point::RawTracePointLink;
use aya::programs::{ProgramError, RawTracePoint};
use weir_ebpf::name;

const TRACEPOINTS: [(&str, &str); 3] = [
    (name::SOCKET_STATE, "inet_sock_set_state"),
    (name::RECEIVED, "sock_recv_length"),
    (name::SENT, "sock_send_length"),
];

/// The tracepoints, while somebody needs them.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    followed: Weak<Followed>,
}

/// They are attached until the last of these is dropped.
#[derive(Debug)]
pub(super) struct Followed(#[expect(dead_code, reason = "is dropped")] Vec<RawTracePointLink>);

impl Sockets {
    /// Attaches them, unless they are.
    pub(super) fn follow(&mut self, ebpf: &mut Ebpf) -> Result<Arc<Followed>, ProgramError> {
        if let Some(followed) = self.followed.upgrade() {
            return Ok(followed);
        }
        let links = TRACEPOINTS.map(|(name, tracepoint)| {
            let program = ebpf.program_mut(name).ok_or(ProgramError::NotLoaded)?;
            let program: &mut RawTracePoint = program.try_into()?;
            if program.fd().is_err() {
                program.load()?;
            }
            let link = program.attach(tracepoint)?;
            program.take_link(link)
        });
        let links = links.into_iter().collect::<Result<_, ProgramError>>()?;
        let followed = Arc::new(Followed(links));
        self.followed = Arc::downgrade(&followed);
        Ok(followed)
    }
}
