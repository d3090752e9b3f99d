//! Whose work is in the program, and on which terms: Debian's `copyright`, from what each crate brings along.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use crate::workspace::{Workspace, output};

/// How files begin that have terms in them, in lower case.
const TERMS: [&str; 5] = ["licen", "copying", "copyright", "notice", "unlicense"];

/// The text of the file: our own terms, those of the prices, then those of each crate that is linked in. A text
/// that several crates have stands there once.
///
/// # Errors
/// If a crate says no licence, or cargo doesn't know what is linked in.
pub(super) fn copyright(workspace: &Workspace) -> anyhow::Result<String> {
    let read = |path: &str| {
        let path = workspace.root.join(path);
        fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))
    };
    let mut text = format!(
        "weir is under MIT or Apache-2.0, at your choice.\n\n{}\n\
         On Debian, Apache-2.0 is in /usr/share/common-licenses/Apache-2.0.\n\n{}\n\
         The program has these crates in it:\n\n",
        read("LICENSE-MIT")?,
        read("packaging/prices.LICENSE")?,
    );
    let linked = linked(workspace)?;
    let metadata = output(&mut workspace.cargo(["metadata", "--format-version", "1"]))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let mut terms: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in metadata["packages"].as_array().context("cargo names no packages")? {
        let [name, version] = ["name", "version"].map(|key| package[key].as_str().unwrap_or(""));
        let title = format!("{name} {version}");
        if !linked.contains(&title) || package["source"].is_null() {
            continue;
        }
        let licence = package["license"].as_str().or(package["license_file"].as_str());
        let licence = licence.with_context(|| format!("{title} says no licence"))?;
        text += &format!("  {title}: {licence}\n");
        let manifest = Path::new(package["manifest_path"].as_str().context("no manifest")?);
        for terms_of_it in texts(manifest.parent().context("a manifest in no folder")?)? {
            terms.entry(terms_of_it).or_default().push(title.clone());
        }
    }
    for (terms, crates) in terms {
        text += &format!("\n--------\n{}:\n\n{}\n", crates.join(", "), terms.trim_end());
    }
    Ok(text)
}

/// Name and version of each crate that is linked into the program.
fn linked(workspace: &Workspace) -> anyhow::Result<BTreeSet<String>> {
    let tree = ["tree", "--package", "weir", "--edges", "normal", "--prefix", "none"];
    let tree = output(&mut workspace.cargo(tree))?;
    Ok(tree.lines().filter_map(crate_of).collect())
}

/// From a line such as `serde v1.0.229 (*)`.
fn crate_of(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
    Some(format!("{name} {version}"))
}

/// The terms that lie beside a manifest.
fn texts(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)?.filter_map(Result::ok) {
        let name = entry.file_name().to_string_lossy().to_lowercase();
        let has_terms = TERMS.iter().any(|start| name.starts_with(start));
        if has_terms && entry.path().is_file() {
            found.push(fs::read_to_string(entry.path())?.replace("\r\n", "\n"));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_is_a_name_and_a_version() {
        for (line, expected) in [
            ("serde v1.0.229", Some("serde 1.0.229")),
            ("serde v1.0.229 (*)", Some("serde 1.0.229")),
            ("serde_derive v1.0.229 (proc-macro)", Some("serde_derive 1.0.229")),
            ("", None),
            ("[dev-dependencies]", None),
        ] {
            assert_eq!(crate_of(line).as_deref(), expected, "{line}");
        }
    }
}
