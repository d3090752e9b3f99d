//! The tracepoints that show which socket a record comes from or goes to (Linux 6.3). They are on the way
//! of all that the host receives and sends, so they are attached only once there is a program that needs
//! them.

use aya::Ebpf;
use aya::programs::{ProgramError, RawTracePoint};
use weir_ebpf::name;

const TRACEPOINTS: [(&str, &str); 3] = [
    (name::SOCKET_STATE, "inet_sock_set_state"),
    (name::RECEIVED, "sock_recv_length"),
    (name::SENT, "sock_send_length"),
];

/// Whether they are attached.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    are_followed: bool,
}

impl Sockets {
    /// Attaches them, unless they are.
    pub(super) fn follow(&mut self, ebpf: &mut Ebpf) -> Result<(), ProgramError> {
        if self.are_followed {
            return Ok(());
        }
        for (name, tracepoint) in TRACEPOINTS {
            let program = ebpf.program_mut(name).ok_or(ProgramError::NotLoaded)?;
            let program: &mut RawTracePoint = program.try_into()?;
            if program.fd().is_err() {
                program.load()?;
            }
            program.attach(tracepoint)?;
        }
        self.are_followed = true;
        Ok(())
    }
}
