//! What is known of tokens by the exchange that issued them: fingerprint → ids.
//!
//! A binding is a claim. A process makes its own TLS client say whom it speaks to and what it has
//! heard, so it can play an exchange to us that never was. What it can't do is to name a token that
//! it doesn't hold, for the fingerprint is taken from the token. The rules that keep it from naming
//! others' tokens that it does hold, or its own ones anew:
//!
//! 1. The first binding wins while the token is good. The same again keeps it good for longer; another
//!    one is refused and counted. The true exchange is the first: before it there is no token.
//! 2. A token that was used before its exchange was seen is not bound: its exchange was out of sight
//!    or before our time, and whoever shows one now is late. Its calls stay without these ids.
//! 3. Only what an exchange can issue is bound. Keys aren't, and least of all those whose fingerprint
//!    is that of an id which is no secret (AWS access keys).
//! 4. Nobody can push out a binding to replace it: where there is no room, the cgroup that has the
//!    most gets no more, and for the others its latest bindings give way.
//!
//! Which process or connection made the exchange doesn't matter: it may have been a sidecar.

use std::collections::{BTreeMap, HashMap};

use jiff::SignedDuration;
use lru::LruCache;

use crate::http::Credential;
use crate::provider::IssuedToken;
use crate::secret::Fingerprint;
use crate::units::Timestamp;

/// Most tokens that are bound at once. One takes up to about 2 KiB.
const MAX_BOUND: usize = 4096;
/// Most tokens that are known to be in use without a binding.
const MAX_USED: usize = 8192;
/// How long a token is taken to be good whose exchange doesn't say, in seconds: RFC 6749's example.
const DEFAULT_SECONDS: u64 = 60 * 60;
/// The longest that a token is taken to be good, in seconds.
const MAX_SECONDS: u64 = 24 * 60 * 60;

/// The tokens that are bound.
#[derive(Debug)]
pub(super) struct Bindings {
    /// At most [`MAX_BOUND`].
    bound: HashMap<Fingerprint, Binding>,
    /// Tokens that were used without being bound. At most [`MAX_USED`].
    used: LruCache<Fingerprint, ()>,
    /// How many were ever bound.
    made: u64,
    refused: u64,
}

#[derive(Debug)]
struct Binding {
    ids: BTreeMap<&'static str, String>,
    until: Timestamp,
    /// Where the exchange was made.
    cgroup: u64,
    /// Counts bindings as they are made.
    number: u64,
}

impl Default for Bindings {
    fn default() -> Self {
        Self { bound: HashMap::new(), used: LruCache::unbounded(), made: 0, refused: 0 }
    }
}

impl Bindings {
    /// Takes an exchange that was over at `now`, by the rules above.
    pub(super) fn bind(
        &mut self,
        credential: &Credential,
        issued: &IssuedToken,
        cgroup: u64,
        now: Timestamp,
    ) {
        let fingerprint = &credential.fingerprint;
        let until = expiry(now, issued.expires_in);
        if let Some(known) = self.bound.get_mut(fingerprint).filter(|known| known.until > now) {
            if known.ids == issued.ids {
                known.until = known.until.max(until);
            } else {
                self.refused += 1;
            }
            return;
        }
        let is_late = self.used.contains(fingerprint);
        if is_late || !credential.kind.is_issued() || !self.make_room(cgroup, now) {
            self.refused += 1;
            return;
        }
        let binding = Binding { ids: issued.ids.clone(), until, cgroup, number: self.made };
        self.made += 1;
        self.bound.insert(fingerprint.clone(), binding);
    }

    /// Adds to a credential that a call of that time carried what its exchange has said.
    pub(super) fn name(&mut self, credential: &mut Credential, time: Timestamp) {
        match self.bound.get(&credential.fingerprint) {
            Some(binding) if binding.until > time => {
                for (name, id) in &binding.ids {
                    credential.ids.entry(name).or_insert_with(|| id.clone());
                }
            }
            _ if credential.kind.is_issued() => {
                self.used.put(credential.fingerprint.clone(), ());
                if self.used.len() > MAX_USED {
                    self.used.pop_lru();
                }
            }
            _ => {}
        }
    }

    /// Forgets tokens that are not good any more.
    pub(super) fn forget_expired(&mut self, now: Timestamp) {
        self.bound.retain(|_, binding| binding.until > now);
    }

    /// How many tokens are bound.
    pub(super) fn len(&self) -> usize {
        self.bound.len()
    }

    /// How many exchanges were refused.
    pub(super) const fn refused(&self) -> u64 {
        self.refused
    }

    /// Makes room for a binding of `cgroup`, if there is any to be had.
    fn make_room(&mut self, cgroup: u64, now: Timestamp) -> bool {
        if self.bound.len() < MAX_BOUND {
            return true;
        }
        self.forget_expired(now);
        if self.bound.len() < MAX_BOUND {
            return true;
        }
        let mut shares: HashMap<u64, usize> = HashMap::new();
        for binding in self.bound.values() {
            *shares.entry(binding.cgroup).or_default() += 1;
        }
        let own = shares.get(&cgroup).copied().unwrap_or(0);
        let heaviest = shares.into_iter().map(|(cgroup, share)| (share, cgroup)).max();
        let Some((_, heaviest)) = heaviest.filter(|(share, _)| *share > own) else { return false };
        let of_heaviest = self.bound.iter().filter(|(_, binding)| binding.cgroup == heaviest);
        let latest = of_heaviest.max_by_key(|(_, binding)| binding.number);
        if let Some(fingerprint) = latest.map(|(fingerprint, _)| fingerprint.clone()) {
            self.bound.remove(&fingerprint);
        }
        true
    }
}

fn expiry(now: Timestamp, expires_in: Option<u64>) -> Timestamp {
    let seconds = expires_in.unwrap_or(DEFAULT_SECONDS).min(MAX_SECONDS);
    let span = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    now.saturating_add(span).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{FingerprintKey, Payload};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn credential(token: &str) -> Credential {
        Credential::of_bearer(token.as_bytes(), &FingerprintKey::new([5; 32]))
    }

    fn issued(account: &str, expires_in: Option<u64>) -> IssuedToken {
        let ids = BTreeMap::from([("openai_service_account", account.to_owned())]);
        IssuedToken { token: Payload::default(), ids, expires_in }
    }

    /// The service account that a call at that second is named with.
    fn account(bindings: &mut Bindings, token: &str, second: i64) -> Option<String> {
        let mut credential = credential(token);
        bindings.name(&mut credential, at(second));
        credential.ids.remove("openai_service_account")
    }

    #[test]
    fn the_first_binding_wins_while_the_token_is_good() {
        let mut bindings = Bindings::default();
        bindings.bind(&credential("t"), &issued("mine", Some(60)), 1, at(0));
        bindings.bind(&credential("t"), &issued("yours", Some(60)), 2, at(10));
        assert_eq!((bindings.len(), bindings.refused()), (1, 1));
        assert_eq!(account(&mut bindings, "t", 59).as_deref(), Some("mine"));
        assert_eq!(account(&mut bindings, "other", 59), None);
        assert_eq!(account(&mut bindings, "t", 60), None);
    }

    #[test]
    fn the_same_again_keeps_a_binding_and_nothing_keeps_it_for_ever() {
        let mut bindings = Bindings::default();
        bindings.bind(&credential("t"), &issued("mine", Some(60)), 1, at(0));
        bindings.bind(&credential("t"), &issued("mine", Some(u64::MAX)), 2, at(50));
        let last = 50 + i64::try_from(MAX_SECONDS).unwrap() - 1;
        assert_eq!(account(&mut bindings, "t", last).as_deref(), Some("mine"));
        bindings.forget_expired(at(last + 1));
        assert_eq!((bindings.len(), bindings.refused()), (0, 0));
    }

    #[test]
    fn a_token_that_is_in_use_is_not_named_by_who_comes_late() {
        let mut bindings = Bindings::default();
        assert_eq!(account(&mut bindings, "t", 0), None);
        bindings.bind(&credential("t"), &issued("thief", None), 1, at(1));
        assert_eq!((account(&mut bindings, "t", 2), bindings.refused()), (None, 1));
    }

    #[test]
    fn a_key_is_not_bound() {
        // The fingerprint of a Bedrock key is that of its access key's id, which is no secret.
        for key in ["sk-ant-api03-x", "bedrock-api-key-x", "AIzaSy"] {
            let mut bindings = Bindings::default();
            bindings.bind(&credential(key), &issued("thief", None), 1, at(0));
            assert_eq!((bindings.len(), bindings.refused()), (0, 1), "{key}");
        }
    }

    #[test]
    fn who_makes_many_bindings_pushes_out_nobody_and_can_rename_nothing() {
        let mut bindings = Bindings::default();
        bindings.bind(&credential("victim"), &issued("victim", None), 1, at(0));
        bindings.bind(&credential("own"), &issued("own", None), 2, at(0));
        for number in 0..MAX_BOUND {
            bindings.bind(&credential(&format!("{number}")), &issued("x", None), 2, at(1));
        }
        assert_eq!((bindings.len(), bindings.refused()), (MAX_BOUND, 2));
        bindings.bind(&credential("own"), &issued("victim", None), 2, at(2));
        assert_eq!(account(&mut bindings, "own", 3).as_deref(), Some("own"));
        assert_eq!(account(&mut bindings, "victim", 3).as_deref(), Some("victim"));
        // There is room for everybody else.
        bindings.bind(&credential("third"), &issued("third", None), 3, at(4));
        assert_eq!(account(&mut bindings, "third", 5).as_deref(), Some("third"));
        assert_eq!(account(&mut bindings, "own", 5).as_deref(), Some("own"));
        assert_eq!(bindings.len(), MAX_BOUND);
    }
}
