//! Where the running kernel keeps the few fields that the probes read, from its own BTF.

use std::path::Path;

use weir_ebpf::name;

use super::CaptureError;
use super::btf::Btf;

const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

/// Structure, field, and the probes' global that takes the field's offset.
const FIELDS: [(&str, &str, &str); 9] = [
    ("task_struct", "group_leader", name::TASK_GROUP_LEADER),
    ("task_struct", "start_boottime", name::TASK_START),
    ("task_struct", "self_exec_id", name::TASK_EXEC_ID),
    ("task_struct", "pid", name::TASK_PID),
    ("task_struct", "tgid", name::TASK_TGID),
    ("task_struct", "signal", name::TASK_SIGNAL),
    ("signal_struct", "live", name::SIGNAL_LIVE),
    ("linux_binprm", "filename", name::BINPRM_FILENAME),
    ("sock_common", "skc_family", name::SOCKET_FAMILY),
];

/// Byte offsets, each with the name of its global.
pub(super) fn read() -> Result<Vec<(&'static str, u32)>, CaptureError> {
    let path = Path::new(KERNEL_BTF);
    if !path.exists() {
        return Err(CaptureError::NoBtf { path: KERNEL_BTF });
    }
    let btf =
        Btf::read(path).map_err(|error| CaptureError::BadBtf { reason: error.to_string() })?;
    FIELDS
        .into_iter()
        .map(|(structure, field, global)| {
            let offset = btf
                .offset(structure, field)
                .ok_or(CaptureError::UnknownKernelField { structure, field })?;
            Ok((global, offset))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_kernel_has_all_fields() {
        if !Path::new(KERNEL_BTF).exists() {
            println!("skipped: the kernel has no BTF");
            return;
        }
        let offsets = read().unwrap();
        assert_eq!(offsets.len(), FIELDS.len());
        let of = |name| offsets.iter().find(|(global, _)| *global == name).unwrap().1;
        assert_eq!(of(name::TASK_TGID), of(name::TASK_PID) + 4);
    }
}
