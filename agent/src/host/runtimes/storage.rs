//! containers/storage, which Podman and CRI-O share: `<graphroot>/<driver>-containers/containers.json`
//! lists all containers, and `volatile-containers.json` those that needn't survive a restart
//! (`podman run --rm`).

use serde::Deserialize;
use weir_core::identity::ContainerId;

use super::super::files::Dir;
use super::Details;

/// Largest list that is read.
const MAX_FILE: usize = 4 * 1024 * 1024;

#[derive(Deserialize)]
struct Entry {
    id: String,
    #[serde(default)]
    names: Vec<String>,
    /// JSON in a string, of whoever made the container.
    metadata: Option<String>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(rename = "image-name")]
    image: Option<String>,
}

pub(super) fn details(graphroot: &Dir, id: &ContainerId) -> Option<Details> {
    let drivers = ["overlay", "vfs", "btrfs"].into_iter();
    let lists = drivers.flat_map(|driver| {
        ["containers.json", "volatile-containers.json"]
            .map(|list| format!("{driver}-containers/{list}"))
    });
    for list in lists {
        let Ok(file) = graphroot.read(list, MAX_FILE) else { continue };
        let Ok(entries) = serde_json::from_slice::<Vec<Entry>>(&file) else { continue };
        if let Some(entry) = entries.into_iter().find(|entry| entry.id == id.as_str()) {
            let metadata: Option<Metadata> =
                entry.metadata.and_then(|text| serde_json::from_str(&text).ok());
            return Some(Details {
                name: entry.names.into_iter().next(),
                image: metadata.and_then(|metadata| metadata.image),
                runtime: None,
            });
        }
    }
    None
}
