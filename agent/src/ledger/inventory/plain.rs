//! What was seen of an identity or a credential in plain HTTP.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use weir_core::blind::{BlindSpot, PlainRequest};
use weir_core::http::CredentialPlace;
use weir_core::units::Timestamp;

use super::values::ENTRY;

/// Connections that began with a request to a model in plain HTTP, apart by whether they left the host. What
/// they came to was not metered, so none of it is in any sum.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlainHttp {
    /// Those to other addresses than loopback: whoever was on the way could read them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Sightings>,
    /// Those to a loopback address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loopback: Option<Sightings>,
}

/// How many there were, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sightings {
    /// How many connections.
    pub connections: u64,
    /// When the first of them was opened.
    pub first_seen: Timestamp,
    /// When one of them was last there.
    pub last_seen: Timestamp,
    /// How many of them carried a credential where.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub places: BTreeMap<CredentialPlace, u64>,
}

impl PlainHttp {
    /// Whether there were none.
    pub(in crate::ledger) const fn is_empty(&self) -> bool {
        self.network.is_none() && self.loopback.is_none()
    }

    /// Takes what a row of blind spots says.
    pub(super) fn note(&mut self, spot: &BlindSpot, said: &PlainRequest) {
        let places = said.credential_in.map(|place| (place, spot.connections));
        let sightings = Sightings {
            connections: spot.connections,
            first_seen: spot.time,
            last_seen: spot.until,
            places: places.into_iter().collect(),
        };
        add(if said.loopback { &mut self.loopback } else { &mut self.network }, &sightings);
    }

    /// Takes in what was seen elsewhere.
    pub(super) fn add(&mut self, other: &Self) {
        let pairs = [(&mut self.network, &other.network), (&mut self.loopback, &other.loopback)];
        for (mine, theirs) in pairs {
            if let Some(theirs) = theirs {
                add(mine, theirs);
            }
        }
    }

    /// Where credentials were in what was seen.
    pub(crate) fn places(&self) -> impl Iterator<Item = CredentialPlace> {
        let all = [&self.network, &self.loopback].into_iter().flatten();
        all.flat_map(|sightings| sightings.places.keys().copied())
    }

    /// About how many bytes it takes in memory beside itself.
    pub(super) fn weight(&self) -> usize {
        let all = [&self.network, &self.loopback].into_iter().flatten();
        all.map(|sightings| sightings.places.len() * ENTRY).sum()
    }
}

fn add(mine: &mut Option<Sightings>, theirs: &Sightings) {
    let Some(mine) = mine else {
        *mine = Some(theirs.clone());
        return;
    };
    mine.connections = mine.connections.saturating_add(theirs.connections);
    mine.first_seen = mine.first_seen.min(theirs.first_seen);
    mine.last_seen = mine.last_seen.max(theirs.last_seen);
    for (place, count) in &theirs.places {
        let sum = mine.places.entry(*place).or_default();
        *sum = sum.saturating_add(*count);
    }
}
