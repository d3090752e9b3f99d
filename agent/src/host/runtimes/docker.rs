//! Docker: `<data-root>/containers/<id>/config.v2.json`.

use std::path::Path;

use serde::Deserialize;
use weir_core::identity::{ContainerId, Runtime};

use super::super::files::Dir;
use super::Details;

/// Largest file that is read. It holds the container's environment and labels, too.
const MAX_FILE: usize = 2 * 1024 * 1024;

#[derive(Deserialize)]
struct State {
    /// With a slash before it.
    #[serde(rename = "Name")]
    name: Option<String>,
    #[serde(rename = "Config")]
    config: Option<Config>,
}

#[derive(Deserialize)]
struct Config {
    /// As it was given to `docker run`.
    #[serde(rename = "Image")]
    image: Option<String>,
}

pub(super) fn details(data_root: &Path, id: &ContainerId) -> Option<Details> {
    let containers = Dir::open(&data_root.join("containers")).ok()?;
    let file = containers.read(format!("{id}/config.v2.json"), MAX_FILE).ok()?;
    let state: State = serde_json::from_slice(&file).ok()?;
    Some(Details {
        name: state.name,
        image: state.config.and_then(|config| config.image),
        runtime: Some(Runtime::Docker),
    })
}
