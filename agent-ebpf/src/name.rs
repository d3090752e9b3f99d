//! Names of maps, programs and globals in the object. A map's name is at most 15 bytes long.

/// Ring buffer of [`crate::record`]s.
pub const RING: &str = "RING";
/// Array of one `u32`: 1 while the reader is about to sleep and wants to be woken.
pub const ARMED: &str = "ARMED";
/// Per-CPU array of [`crate::loss::Lost`], indexed by [`crate::loss::Cause`].
pub const LOSSES: &str = "LOSSES";
/// Hash of [`crate::policy::Handle`] to [`crate::policy::Steer`].
pub const STEERING: &str = "STEERING";
/// Hash of thread group id (`u32`) to `u8`: processes whose calls are not looked at.
pub const EXCLUDED: &str = "EXCLUDED";
/// Program array for [`READ_MORE`] at 0 and [`WRITE_MORE`] at 1.
pub const CONTINUE: &str = "CONTINUE";

/// Ring buffer of [`crate::flow::Flow`]s.
pub const FLOW_RING: &str = "FLOW_RING";
/// Hash of a socket's cookie (`u64`) to [`crate::flow::Watched`].
pub const FLOWS: &str = "FLOWS";

/// Array of one `u64`: until when whoever is blocked is, in nanoseconds since the boot; 0 while nobody is.
pub const GATE: &str = "GATE";
/// Hash of a socket's cookie (`u64`) to [`crate::block::Owned`].
pub const GATED: &str = "GATED";
/// Hash of thread group id (`u32`) to [`crate::block::Verdict`].
pub const VERDICTS: &str = "VERDICTS";
/// Hash of [`crate::block::Place`] to `u8`: where processes may be meant that nobody has judged yet.
pub const PLACES: &str = "PLACES";
/// Hash of [`crate::block::Endpoint`] to one of [`crate::block::end`].
pub const ENDPOINTS: &str = "ENDPOINTS";
/// Array of [`crate::block::Refused`], by slot.
pub const REFUSED: &str = "REFUSED";

/// Uprobe on `SSL_read(ssl, buffer, length)`, `gnutls_record_recv` and `gnutls_record_recv_seq`.
pub const READ_ENTER: &str = "read_enter";
/// Uprobe on `SSL_read_ex(ssl, buffer, length, *size)`.
pub const READ_EX_ENTER: &str = "read_ex_enter";
/// Uprobe on `PR_Read(descriptor, buffer, length)`.
pub const LAYER_READ_ENTER: &str = "layer_read_enter";
/// Uprobe on `PR_Recv(descriptor, buffer, length, flags, …)`.
pub const LAYER_RECV_ENTER: &str = "layer_recv_enter";
/// Uretprobe on all that read.
pub const READ_RETURN: &str = "read_return";
/// Uprobe just before the return of those that read. Does what [`READ_RETURN`] does.
pub const READ_EXIT: &str = "read_exit";
/// Continues [`READ_RETURN`] and [`READ_EXIT`].
pub const READ_MORE: &str = "read_more";
/// Uprobe on `SSL_write(ssl, buffer, length)`, `gnutls_record_send` and `gnutls_record_send2`.
pub const WRITE_ENTER: &str = "write_enter";
/// Uprobe on `SSL_write_ex(ssl, buffer, length, *size)`.
pub const WRITE_EX_ENTER: &str = "write_ex_enter";
/// Uprobe on `SSL_write_ex2(ssl, buffer, length, flags, *size)`.
pub const WRITE_EX2_ENTER: &str = "write_ex2_enter";
/// Uprobe on `SSL_sendfile(ssl, file, offset, length, flags)`, whose bytes the kernel reads and encrypts:
/// they are never in the process's memory.
pub const WRITE_FILE_ENTER: &str = "write_file_enter";
/// Uprobe on `gnutls_record_uncork(session, …)`, which sends what was held back: it was counted when it
/// was given.
pub const WRITE_HELD_ENTER: &str = "write_held_enter";
/// Uprobe on `PR_Write(descriptor, buffer, length)` and `PR_Send`.
pub const LAYER_WRITE_ENTER: &str = "layer_write_enter";
/// Uprobe on `PR_Writev(descriptor, …)`.
pub const LAYER_WRITEV_ENTER: &str = "layer_writev_enter";
/// Uretprobe on all that write.
pub const WRITE_RETURN: &str = "write_return";
/// Uprobe just before the return of those that write. Does what [`WRITE_RETURN`] does.
pub const WRITE_EXIT: &str = "write_exit";
/// Continues [`WRITE_RETURN`] and [`WRITE_EXIT`].
pub const WRITE_MORE: &str = "write_more";
/// Uretprobe on `SSL_new()`: a connection that was at the address it returns has ended.
pub const OPEN_RETURN: &str = "open_return";
/// Uprobe just before that return. Does the same.
pub const OPEN_EXIT: &str = "open_exit";
/// Uprobe on `SSL_free(ssl)`, `SSL_clear(ssl)`, `gnutls_deinit(session)`, `PR_Close(descriptor)` and
/// NSS's `SSL_ResetHandshake(descriptor, …)`.
pub const CLOSE_ENTER: &str = "close_enter";
/// Uprobe on each instruction by which Go's `crypto/tls.(*Conn).Read` returns.
pub const GO_READ_EXIT: &str = "go_read_exit";
/// Uprobe on Go's `crypto/tls.(*Conn).writeRecordLocked(type, data)`.
pub const GO_WRITE_ENTER: &str = "go_write_enter";
/// Uprobe on Go's `crypto/tls.(*Conn).Close()`, and on where it begins a connection.
pub const GO_CLOSE_ENTER: &str = "go_close_enter";
/// Uprobe on `EVP_AEAD_CTX_seal(ctx, out, …)`, which seals a record.
pub const SEAL_RECORD_ENTER: &str = "seal_enter";
/// Uprobe on `EVP_AEAD_CTX_seal_scatter(ctx, out, out_tag, …)`, which leaves the tag elsewhere.
pub const SCATTER_RECORD_ENTER: &str = "scatter_enter";
/// Uprobe on `EVP_AEAD_CTX_open(ctx, out, …)`, which opens a record.
pub const OPEN_RECORD_ENTER: &str = "unseal_enter";
/// Uprobe on `EVP_AEAD_CTX_open_gather(ctx, out, nonce, …)`, which has the tag from elsewhere.
pub const GATHER_RECORD_ENTER: &str = "gather_enter";
/// Uretprobe on all that open records.
pub const RECORD_RETURN: &str = "unseal_return";
/// Uprobe just before the return of these. Does what [`RECORD_RETURN`] does.
pub const RECORD_EXIT: &str = "unseal_exit";
/// Uprobe on ring's `aes_gcm_seal(*result, key, nonce, …)` and `chacha20_poly1305_seal`.
pub const RING_SEAL_ENTER: &str = "ring_seal_enter";
/// The same where what is sent is a copy.
pub const RING_COPY_SEAL_ENTER: &str = "ring_copy_seal_enter";
/// Uretprobe on both, there: they have left the tag.
pub const RING_COPY_SEAL_RETURN: &str = "ring_copy_seal_return";
/// Uprobe just before the return of both. Does what [`RING_COPY_SEAL_RETURN`] does.
pub const RING_COPY_SEAL_EXIT: &str = "ring_copy_seal_exit";
/// Uprobe on ring's `aes_gcm_open(*result, key, nonce, …)` and `chacha20_poly1305_open`. They return as
/// [`OPEN_RECORD_ENTER`]'s do.
pub const RING_OPEN_ENTER: &str = "ring_open_enter";
/// The same where it is a copy of what was received.
pub const RING_COPY_OPEN_ENTER: &str = "ring_copy_open_enter";
/// Raw tracepoint `sock_recv_length`: what a thread has received, and from where.
pub const RECEIVED: &str = "received";
/// Raw tracepoint `sock_send_length`: what a thread has sent, and where to.
pub const SENT: &str = "sent";
/// Raw tracepoint `inet_sock_set_state`: the end of a socket.
pub const SOCKET_STATE: &str = "socket_state";
/// Uprobe on the dynamic loader's `_dl_debug_state()`.
pub const LOADER_ENTER: &str = "loader_enter";
/// Raw tracepoint `sched_process_exec`.
pub const EXECUTED: &str = "executed";
/// Raw tracepoint `sched_process_fork`.
pub const FORKED: &str = "forked";
/// Raw tracepoint `sched_process_exit`.
pub const EXITED: &str = "exited";
/// `cgroup/connect4`: a socket is being connected.
pub const CONNECT4: &str = "connect4";
/// `cgroup/connect6`.
pub const CONNECT6: &str = "connect6";
/// `cgroup/sendmsg4`: a datagram is sent from a socket that is not connected.
pub const SENDMSG4: &str = "sendmsg4";
/// `cgroup/sendmsg6`.
pub const SENDMSG6: &str = "sendmsg6";
/// `cgroup_skb/egress`: a packet leaves.
pub const EGRESS: &str = "egress";
/// `cgroup/sock_release`: a socket is closed.
pub const RELEASED: &str = "released";

/// `cgroup/connect4`: refuses to connect a socket.
pub const BLOCK_CONNECT4: &str = "block_connect4";
/// `cgroup/connect6`.
pub const BLOCK_CONNECT6: &str = "block_connect6";
/// `cgroup/sendmsg4`: refuses a datagram.
pub const BLOCK_SENDMSG4: &str = "block_sendmsg4";
/// `cgroup/sendmsg6`.
pub const BLOCK_SENDMSG6: &str = "block_sendmsg6";
/// `cgroup_skb/egress`: drops what leaves.
pub const BLOCK_EGRESS: &str = "block_egress";
/// `cgroup_skb/ingress`: drops what comes in.
pub const BLOCK_INGRESS: &str = "block_ingress";
/// `cgroup/sock_release`: forgets a socket.
pub const BLOCK_RELEASED: &str = "block_released";

/// `u32`: our own thread group id.
pub const SELF_TGID: &str = "SELF_TGID";
/// `u32`: 1 if [`EXCLUDED`] is to be looked at.
pub const HAS_EXCLUDED: &str = "HAS_EXCLUDED";
/// `u32`: 1 if the kernel tells a program at which of its sites it runs. The cookie of a site is by
/// how many bytes the stack pointer is lower there than at the function's first instruction.
pub const HAS_COOKIES: &str = "HAS_COOKIES";
/// `u64`: bytes in the ring above which every record wakes the reader.
pub const WATERMARK: &str = "WATERMARK";
/// `u32`: offset of `task_struct.group_leader`.
pub const TASK_GROUP_LEADER: &str = "TASK_GROUP_LEADER";
/// `u32`: offset of `task_struct.start_boottime`.
pub const TASK_START: &str = "TASK_START";
/// `u32`: offset of `task_struct.self_exec_id`.
pub const TASK_EXEC_ID: &str = "TASK_EXEC_ID";
/// `u32`: offset of `task_struct.pid`.
pub const TASK_PID: &str = "TASK_PID";
/// `u32`: offset of `task_struct.tgid`.
pub const TASK_TGID: &str = "TASK_TGID";
/// `u32`: offset of `task_struct.signal`.
pub const TASK_SIGNAL: &str = "TASK_SIGNAL";
/// `u32`: offset of `signal_struct.live`, the number of live threads.
pub const SIGNAL_LIVE: &str = "SIGNAL_LIVE";
/// `u32`: offset of `linux_binprm.filename`.
pub const BINPRM_FILENAME: &str = "BINPRM_FILENAME";
/// `u32`: offset of `sock_common.skc_family`, which is also that in a `sock`.
pub const SOCKET_FAMILY: &str = "SOCKET_FAMILY";
