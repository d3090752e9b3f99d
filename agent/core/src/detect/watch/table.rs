//! What is remembered of each of many, of whom there may be more than there is room for.

use lru::LruCache;
use serde::de::{SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Rows by name, [`MAX`](Table) at most: those that were looked at least recently go.
#[derive(Debug)]
pub(in crate::detect) struct Table<V, const MAX: usize = 10_000> {
    rows: LruCache<String, V>,
}

impl<V, const MAX: usize> Default for Table<V, MAX> {
    fn default() -> Self {
        // Without a capacity, so that little is kept while there is little; `row` sees to the bound.
        Self { rows: LruCache::unbounded() }
    }
}

impl<V, const MAX: usize> Table<V, MAX> {
    /// The row of that name, if there is one. It counts as looked at.
    pub(in crate::detect) fn get_mut(&mut self, name: &str) -> Option<&mut V> {
        self.rows.get_mut(name)
    }

    /// The row of that name, if there is one.
    pub(in crate::detect) fn peek(&self, name: &str) -> Option<&V> {
        self.rows.peek(name)
    }

    /// The row of that name, which is made if there is none.
    pub(in crate::detect) fn row(&mut self, name: &str) -> &mut V
    where
        V: Default,
    {
        if !self.rows.contains(name) && self.rows.len() >= MAX {
            self.rows.pop_lru();
        }
        self.rows.get_or_insert_mut_ref(name, V::default)
    }

    /// Takes out the row of that name.
    pub(in crate::detect) fn remove(&mut self, name: &str) -> Option<V> {
        self.rows.pop(name)
    }

    /// Gives a row another name, unless there is one of that name.
    pub(in crate::detect) fn rename(&mut self, from: &str, to: &str) {
        if !self.rows.contains(to)
            && let Some(row) = self.rows.pop(from)
        {
            self.rows.put(to.to_owned(), row);
        }
    }

    /// All rows.
    pub(in crate::detect) fn iter_mut(&mut self) -> impl Iterator<Item = (&String, &mut V)> {
        self.rows.iter_mut()
    }

    /// How many rows there are.
    #[cfg(test)]
    pub(in crate::detect) fn len(&self) -> usize {
        self.rows.len()
    }
}

impl<V: Serialize, const MAX: usize> Serialize for Table<V, MAX> {
    /// From the row that was looked at least recently.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rows = serializer.serialize_seq(Some(self.rows.len()))?;
        for row in self.rows.iter().rev() {
            rows.serialize_element(&row)?;
        }
        rows.end()
    }
}

impl<'de, V: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Table<V, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Rows<V, const MAX: usize>(std::marker::PhantomData<V>);
        impl<'de, V: Deserialize<'de>, const MAX: usize> Visitor<'de> for Rows<V, MAX> {
            type Value = Table<V, MAX>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("rows with their names")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut table = Table::default();
                while let Some((name, row)) = seq.next_element::<(String, V)>()? {
                    if table.rows.len() >= MAX {
                        table.rows.pop_lru();
                    }
                    table.rows.put(name, row);
                }
                Ok(table)
            }
        }
        deserializer.deserialize_seq(Rows(std::marker::PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recent_row_goes_first_even_after_a_restart() {
        let mut table: Table<u32, 2> = Table::default();
        *table.row("a") = 1;
        *table.row("b") = 2;
        assert_eq!(table.get_mut("a"), Some(&mut 1));
        let saved = serde_json::to_vec(&table).unwrap();
        let mut table: Table<u32, 2> = serde_json::from_slice(&saved).unwrap();
        *table.row("c") = 3;
        assert_eq!((table.peek("a"), table.peek("b"), table.len()), (Some(&1), None, 2));
        table.rename("a", "c");
        assert_eq!(table.peek("c"), Some(&3), "a name that is taken is kept");
        table.rename("a", "d");
        assert_eq!(table.peek("d"), Some(&1));
    }
}
