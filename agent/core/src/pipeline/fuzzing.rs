//! A door for fuzz targets. There only where `cargo fuzz` builds (`cfg(fuzzing)`).

use super::{MAX_CONNECTIONS, MAX_MEMORY, MAX_WAITING, Pipeline};

impl Pipeline {
    /// Checks what always holds between two inputs.
    ///
    /// # Panics
    /// If it doesn't.
    pub fn check(&self) {
        let held: usize = self.connections.iter().map(|(_, state)| state.footprint()).sum();
        assert_eq!(self.footprint, held, "what is held back was counted wrong");
        assert!(self.footprint <= MAX_MEMORY && self.connections.len() <= MAX_CONNECTIONS);
        let mut followed = 0;
        for (process, state) in &self.processes {
            assert!(state.waiting.len() <= MAX_WAITING);
            assert!(state.attribution.is_none() || state.waiting.is_empty());
            assert!(!state.connections.is_empty() || !state.waiting.is_empty(), "{process:?}");
            assert!(state.connections.iter().all(|id| self.connections.contains(id)));
            followed += state.connections.len();
        }
        assert_eq!(followed, self.connections.len());
    }
}
