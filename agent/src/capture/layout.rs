//! Where the running kernel keeps the few fields that the probes read, from its own BTF.

use std::path::Path;

use btf_rs::{Btf, Type};
use weir_ebpf::name;

use super::CaptureError;

const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

/// Structure, field, and the probes' global that takes the field's offset.
const FIELDS: [(&str, &str, &str); 8] = [
    ("task_struct", "group_leader", name::TASK_GROUP_LEADER),
    ("task_struct", "start_boottime", name::TASK_START),
    ("task_struct", "self_exec_id", name::TASK_EXEC_ID),
    ("task_struct", "pid", name::TASK_PID),
    ("task_struct", "tgid", name::TASK_TGID),
    ("task_struct", "signal", name::TASK_SIGNAL),
    ("signal_struct", "live", name::SIGNAL_LIVE),
    ("linux_binprm", "filename", name::BINPRM_FILENAME),
];

/// Nesting of anonymous structures that is followed.
const DEPTH: u32 = 4;

/// Byte offsets, each with the name of its global.
pub(super) fn read() -> Result<Vec<(&'static str, u32)>, CaptureError> {
    if !Path::new(KERNEL_BTF).exists() {
        return Err(CaptureError::NoBtf { path: KERNEL_BTF });
    }
    let btf = Btf::from_file(KERNEL_BTF)
        .map_err(|error| CaptureError::BadBtf { reason: format!("{error:#}") })?;
    FIELDS
        .into_iter()
        .map(|(structure, field, global)| {
            let offset = offset(&btf, structure, field)
                .ok_or(CaptureError::UnknownKernelField { structure, field })?;
            Ok((global, offset))
        })
        .collect()
}

fn offset(btf: &Btf, structure: &str, field: &str) -> Option<u32> {
    let types = btf.resolve_types_by_name(structure).ok()?;
    types.into_iter().find_map(|found| field_bits(btf, &found, field, DEPTH)).map(|bits| bits / 8)
}

/// The field's offset in bits. Kernels that randomise their structures, and newer ones, group
/// fields in anonymous ones.
fn field_bits(btf: &Btf, found: &Type, field: &str, depth: u32) -> Option<u32> {
    let (Type::Struct(found) | Type::Union(found)) = found else {
        return None;
    };
    found.members.iter().find_map(|member| {
        let name = btf.resolve_name(member).unwrap_or_default();
        if name == field {
            return Some(member.bit_offset());
        }
        if !name.is_empty() || depth == 0 {
            return None;
        }
        let inner = btf.resolve_chained_type(member).ok()?;
        Some(member.bit_offset() + field_bits(btf, &inner, field, depth - 1)?)
    })
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
