//! The unit that is shipped, as far as its privileges can be had without systemd.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

/// Where it is, below `packaging`.
const FILE: &str = "weir.service";

/// Makes commands that have no more privileges than the unit leaves its process.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Privileges {
    /// As setpriv has them: lower case, without `CAP_`.
    capabilities: Vec<String>,
    no_new: bool,
}

/// A command that becomes `program` with the privileges that the unit in `packaging` leaves it, in one
/// process: its pid is that of the program.
///
/// # Errors
/// If the unit can't be read, or bounds no capabilities.
pub(super) fn confined(packaging: &Path, program: &Path) -> anyhow::Result<Command> {
    let file = packaging.join(FILE);
    let text =
        fs::read_to_string(&file).with_context(|| format!("can't read {}", file.display()))?;
    let privileges = Privileges::of(&text).context("the unit bounds no capabilities")?;
    let mut command = Command::new("setpriv");
    command.arg(format!("--bounding-set=-all,+{}", privileges.capabilities.join(",+")));
    command.arg("--inh-caps=-all");
    if privileges.no_new {
        command.arg("--no-new-privs");
    }
    command.arg("--").arg(program);
    Ok(command)
}

impl Privileges {
    /// From the text of a unit; `None` if it has no set of capabilities.
    fn of(unit: &str) -> Option<Self> {
        let value = |key: &str| {
            let mut lines = unit.lines().filter_map(|line| line.split_once('='));
            lines.find_map(|(name, value)| (name == key).then_some(value))
        };
        let capabilities: Vec<String> = value("CapabilityBoundingSet")?
            .split_whitespace()
            .filter_map(|name| name.strip_prefix("CAP_"))
            .map(str::to_lowercase)
            .collect();
        let no_new = value("NoNewPrivileges") == Some("yes");
        (!capabilities.is_empty()).then_some(Self { capabilities, no_new })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn privileges_are_those_of_the_unit() {
        let capabilities = vec!["bpf".to_owned(), "sys_ptrace".to_owned()];
        for (unit, expected) in [
            ("[Service]\nCapabilityBoundingSet=\n", None),
            ("[Service]\n#CapabilityBoundingSet=CAP_BPF\n", None),
            (
                "CapabilityBoundingSet=CAP_BPF CAP_SYS_PTRACE\nNoNewPrivileges=yes\n",
                Some(Privileges { capabilities: capabilities.clone(), no_new: true }),
            ),
            (
                "CapabilityBoundingSet=CAP_BPF CAP_SYS_PTRACE\n",
                Some(Privileges { capabilities, no_new: false }),
            ),
        ] {
            assert_eq!(Privileges::of(unit), expected, "{unit}");
        }
    }
}
