//! Who uses which credential, and since when.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::watch::{Call, Table, ago};
use crate::units::Timestamp;

/// Most users that are remembered of a credential; beyond them nobody is new.
const USERS_MAX: usize = 16;

/// Who uses which credential.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Sharers(Table<Credential>);

#[derive(Debug, Default, Serialize, Deserialize)]
struct Credential {
    /// When it was first seen.
    since: Option<Timestamp>,
    users: BTreeMap<String, User>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct User {
    first: Timestamp,
    last: Timestamp,
    /// It came when the credential had been others' for long.
    late: bool,
}

/// Who joined others in using a credential.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Joined {
    /// Who has come.
    pub(super) newcomer: String,
    /// Who had it before, and uses it still.
    pub(super) holder: String,
    /// How long ago the one of them used it that doesn't now.
    pub(super) apart: SignedDuration,
    /// It is the newcomer that uses it now.
    pub(super) by_newcomer: bool,
}

impl Sharers {
    /// Takes note of a call. Says who has joined whom, for so long after he came, if a credential of which one
    /// should be enough was others' for `history` before.
    pub(super) fn see(
        &mut self,
        call: &Call<'_>,
        history: SignedDuration,
        news: SignedDuration,
    ) -> Option<Joined> {
        let record = call.record;
        let print = record.credential.as_ref()?;
        if !call.is_live || call.declared.is_shared(print) {
            return None;
        }
        let credential = self.0.row(print.as_str());
        let since = *credential.since.get_or_insert(call.now);
        let late = ago(call.now, since) >= history && !credential.users.is_empty();
        let is_known = credential.users.contains_key(call.identity());
        if !is_known && credential.users.len() >= USERS_MAX {
            return None;
        }
        let user = credential.users.entry(call.identity().to_owned());
        let user = *user.and_modify(|user| user.last = call.now).or_insert(User {
            first: call.now,
            last: call.now,
            late,
        });
        let is_news = |user: &User| user.late && ago(call.now, user.first) < news;
        let by_newcomer = is_news(&user);
        // The one of the other kind that used it last.
        let others = credential.users.iter().filter(|(name, other)| {
            name.as_str() != call.identity() && is_news(other) != by_newcomer
        });
        let (other, of) = others.max_by_key(|(_, other)| other.last)?;
        let apart = ago(call.now, of.last);
        let (own, other) = (call.identity().to_owned(), other.clone());
        let (newcomer, holder) = if by_newcomer { (own, other) } else { (other, own) };
        Some(Joined { newcomer, holder, apart, by_newcomer })
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) {
        for (_, credential) in self.0.iter_mut() {
            if let Some(user) = credential.users.remove(from) {
                credential.users.entry(to.to_owned()).or_insert(user);
            }
        }
    }
}
