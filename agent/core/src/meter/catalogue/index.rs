//! Which row a name stands for.

use std::collections::HashMap;

use super::format::ModelRow;
use super::name::{candidates, relayed};

/// Every id and alias, by provider. Values are indexes of the rows.
#[derive(Debug, Default)]
pub(super) struct Index {
    providers: HashMap<String, Names>,
}

#[derive(Debug, Default)]
struct Names {
    exact: HashMap<String, usize>,
    /// Names whose end is open, without the `*`; the longest first.
    open: Vec<(String, usize)>,
}

impl Index {
    /// The names of `rows`, or those that a provider gives to two of them.
    pub(super) fn of(rows: &[ModelRow]) -> Result<Self, Vec<String>> {
        let mut index = Self::default();
        let mut twice = Vec::new();
        for (at, row) in rows.iter().enumerate() {
            let names = index.providers.entry(row.provider.clone()).or_default();
            for name in row.aliases.iter().chain([&row.id]) {
                let key = name.to_ascii_lowercase();
                let known = match key.strip_suffix('*') {
                    Some(start) if names.open.iter().any(|(other, _)| other == start) => true,
                    Some(start) => {
                        names.open.push((start.to_owned(), at));
                        false
                    }
                    None => names.exact.insert(key, at).is_some(),
                };
                if known {
                    twice.push(name.clone());
                }
            }
        }
        for names in index.providers.values_mut() {
            names.open.sort_by_key(|(start, _)| std::cmp::Reverse(start.len()));
        }
        if twice.is_empty() { Ok(index) } else { Err(twice) }
    }

    /// The row of what `provider` calls `model`, or else of whom it relays.
    pub(super) fn find(&self, provider: &str, model: &str, region: Option<&str>) -> Option<usize> {
        let names = candidates(model);
        std::iter::once(provider)
            .chain(relayed(provider).iter().copied())
            .filter_map(|provider| self.providers.get(provider))
            .find_map(|known| known.find(&names, region))
    }

    /// The row of what `provider` calls `model`, and of nobody else.
    pub(super) fn sold_by(
        &self,
        provider: &str,
        model: &str,
        region: Option<&str>,
    ) -> Option<usize> {
        self.providers.get(provider)?.find(&candidates(model), region)
    }
}

impl Names {
    fn find(&self, names: &[String], region: Option<&str>) -> Option<usize> {
        let local = |name: &String| {
            self.exact.get(&format!("{}/{name}", region?.to_ascii_lowercase())).copied()
        };
        let exact = |name: &String| local(name).or_else(|| self.exact.get(name).copied());
        names.iter().find_map(exact).or_else(|| {
            names.iter().find_map(|name| {
                let open = self.open.iter().find(|(start, _)| name.starts_with(start.as_str()));
                open.map(|(_, at)| *at)
            })
        })
    }
}
