//! The unit that is shipped: systemd understands every line, and what it leaves open is no more than was
//! thought about (`docs/install.md`).

use std::fs;
use std::process::Command;

use anyhow::Context as _;

use crate::workspace::{Workspace, output};

/// The most that `systemd-analyze security` may say, in tenths. What is left is what weir is for: it looks at all
/// processes of the host.
const EXPOSURE_MAX: u32 = 35;

/// What systemd-analyze says before the number.
const OVERALL: &str = "Overall exposure level for weir.service: ";

pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    let unit = fs::read_to_string(workspace.root.join("packaging/weir.service"))?;
    let folder = workspace.target.join("unit");
    fs::create_dir_all(&folder)?;
    let copy = folder.join("weir.service");
    // The program isn't installed here, and systemd wants to see it.
    fs::write(&copy, unit.replace("/usr/bin/weir", "/bin/true"))?;
    let verify =
        Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&copy).output()?;
    let complaints = String::from_utf8_lossy(&verify.stderr);
    anyhow::ensure!(
        verify.status.success() && complaints.is_empty(),
        "systemd doesn't understand packaging/weir.service:\n{complaints}"
    );
    let mut security = Command::new("systemd-analyze");
    security.args(["security", "--offline=true", "--no-pager"]).arg(&copy);
    let said = output(&mut security)?;
    let exposure = exposure(&said).with_context(|| format!("no exposure level:\n{said}"))?;
    anyhow::ensure!(
        exposure <= EXPOSURE_MAX,
        "the unit's exposure is {}, more than {} tenths:\n{said}",
        exposure,
        EXPOSURE_MAX
    );
    eprintln!("==> unit: verified, exposure {}.{}", exposure / 10, exposure % 10);
    Ok(())
}

/// The exposure in tenths, from what systemd-analyze says.
fn exposure(said: &str) -> Option<u32> {
    let (_, after) = said.split_once(OVERALL)?;
    let (whole, tenth) = after.split_whitespace().next()?.split_once('.')?;
    let [whole, tenth]: [u32; 2] = [whole.parse().ok()?, tenth.parse().ok()?];
    (tenth < 10).then_some(whole.checked_mul(10)?.checked_add(tenth)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exposure_is_read() {
        for (said, expected) in [
            ("→ Overall exposure level for weir.service: 3.2 OK 🙂\n", Some(32)),
            ("→ Overall exposure level for weir.service: 10.0 DANGEROUS 😨\n", Some(100)),
            ("→ Overall exposure level for weir.service: 3.25 OK\n", None),
            ("→ Overall exposure level for weir.service:", None),
            ("", None),
        ] {
            assert_eq!(exposure(said), expected, "{said}");
        }
    }
}
