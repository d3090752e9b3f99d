//! From a model call and its maker to the record that is stored: tokens counted where the provider
//! said nothing, priced by the catalogue.

mod record;

pub use record::{CallId, CostSource, UsageRecord, UsageSource};
