//! Rate limits per address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

/// Addresses remembered before those that have been quiet are forgotten.
const ADDRESSES_KEPT: usize = 10_000;

/// How much one address may ask for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Requests a second, in the long run; infinite for any number.
    pub per_second: f64,
    /// Requests above that at once.
    pub burst: f64,
    /// Requests of one address that may be under way at once.
    pub at_once: u32,
}

/// Counts the requests of every address against a rate.
#[derive(Debug)]
pub struct RateLimit {
    rate: Rate,
    addresses: Mutex<HashMap<IpAddr, Seen>>,
}

#[derive(Debug)]
struct Seen {
    /// Requests above the rate that are not worked off yet.
    excess: f64,
    at: Instant,
    under_way: u32,
}

/// A request under way; dropping it ends it.
#[derive(Debug)]
pub struct Place<'a> {
    limit: &'a RateLimit,
    address: IpAddr,
}

impl RateLimit {
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            addresses: Mutex::default(),
        }
    }

    /// Takes a request of an address at a time, or `None` if that is too many.
    pub fn take(&self, address: IpAddr, now: Instant) -> Option<Place<'_>> {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if addresses.len() >= ADDRESSES_KEPT {
            let rate = self.rate.per_second;
            addresses.retain(|_, seen| {
                seen.under_way > 0 || seen.excess > now.saturating_duration_since(seen.at).as_secs_f64() * rate
            });
        }
        let seen = addresses.entry(address).or_insert(Seen {
            excess: 0.0,
            at: now,
            under_way: 0,
        });
        let worked_off = now.saturating_duration_since(seen.at).as_secs_f64() * self.rate.per_second;
        // An infinite rate in no time at all is no number, and works off everything, too.
        let excess = (seen.excess - worked_off).max(0.0);
        seen.at = now;
        seen.excess = excess;
        if excess > self.rate.burst || seen.under_way >= self.rate.at_once {
            return None;
        }
        seen.excess = excess + 1.0;
        seen.under_way += 1;
        Some(Place { limit: self, address })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut addresses = self.limit.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = addresses.get_mut(&self.address) {
            seen.under_way = seen.under_way.saturating_sub(1);
        }
    }
}

/// A limit whose rate may change; with another rate it begins anew.
#[derive(Debug, Default)]
pub struct ChangingLimit(Mutex<Option<Arc<RateLimit>>>);

impl ChangingLimit {
    pub fn with(&self, rate: Rate) -> Arc<RateLimit> {
        let mut present = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*present {
            Some(limit) if limit.rate == rate => limit.clone(),
            _ => present.insert(Arc::new(RateLimit::new(rate))).clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const RATE: Rate = Rate {
        per_second: 10.0,
        burst: 5.0,
        at_once: 2,
    };

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let limit = RateLimit::new(RATE);
        let (address, start) = (IpAddr::from([10, 0, 0, 1]), Instant::now());
        let passed = (0..20).filter(|_| limit.take(address, start).is_some()).count();
        assert_eq!(passed, 6, "one on time and five above the rate");
        assert!(
            limit.take(IpAddr::from([10, 0, 0, 2]), start).is_some(),
            "another address has its own rate"
        );
        let passed = (0..20)
            .filter(|_| limit.take(address, start + Duration::from_secs(1)).is_some())
            .count();
        assert_eq!(passed, 6, "after a second without requests everything is worked off");
    }

    #[test]
    fn any_number_a_second_leaves_only_those_at_once() {
        let limit = RateLimit::new(Rate {
            per_second: f64::INFINITY,
            ..RATE
        });
        let (address, now) = (IpAddr::from([10, 0, 0, 1]), Instant::now());
        assert!((0..1_000).all(|_| limit.take(address, now).is_some()));
        let _held = [limit.take(address, now), limit.take(address, now)];
        assert!(limit.take(address, now).is_none());
    }

    #[test]
    fn only_so_many_are_under_way_at_once() {
        let limit = RateLimit::new(RATE);
        let (address, now) = (IpAddr::from([10, 0, 0, 1]), Instant::now());
        let first = limit.take(address, now);
        let second = limit.take(address, now);
        assert!(first.is_some() && second.is_some());
        assert!(limit.take(address, now).is_none());
        drop(first);
        assert!(limit.take(address, now).is_some());
    }
}
