//! Names that stand for others, since an administrator has said so.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

/// From a name to the one that took its place. No chain of them ends where it began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Aliases(HashMap<String, String>);

impl Aliases {
    /// The name of today.
    #[must_use]
    pub fn current<'a>(&'a self, name: &'a str) -> &'a str {
        let mut name = name;
        while let Some(next) = self.0.get(name) {
            name = next;
        }
        name
    }

    /// All names that stand for the same identity as `name` does.
    #[must_use]
    pub fn names(&self, name: &str) -> HashSet<String> {
        let current = self.current(name);
        let old = self.0.keys().filter(|alias| self.current(alias) == current);
        old.cloned().chain([current.to_owned()]).collect()
    }

    /// Calls what is known as `old` by the name `new`, whatever else it was called before. A name that is
    /// given back to itself stands for nothing else any more.
    pub fn rename(&mut self, old: &str, new: &str) {
        if old == new {
            self.0.remove(old);
            return;
        }
        let current = self.current(old).to_owned();
        if self.current(new) == current {
            self.0.remove(new);
        }
        if current != new {
            self.0.insert(current, new.to_owned());
        }
    }
}
