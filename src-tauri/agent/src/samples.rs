//! Samples that the engine has not acknowledged yet.

use edgedeck_model::{Time, telemetry::Sample};
use edgedeck_protocol::SAMPLES_KEPT;
use std::collections::VecDeque;

/// Samples in the order of their numbers.
#[derive(Debug)]
pub struct Samples {
    kept: VecDeque<Sample>,
    /// The number of the first that is kept.
    first: u64,
    /// The next one to be sent on the present link.
    next: u64,
}

impl Samples {
    /// Numbers begin at the time, so that they also grow from one process of the agent to the next.
    pub fn new(now: Time) -> Self {
        let first = u64::try_from(now.0).unwrap_or(0).max(1);
        Self {
            kept: VecDeque::new(),
            first,
            next: first,
        }
    }

    /// Keeps one; the oldest goes when there are too many.
    pub fn push(&mut self, sample: Sample) {
        self.kept.push_back(sample);
        if self.kept.len() > SAMPLES_KEPT {
            self.kept.pop_front();
            self.first += 1;
            self.next = self.next.max(self.first);
        }
    }

    /// A new link: what was not acknowledged is sent again.
    pub fn rewind(&mut self) {
        self.next = self.first;
    }

    /// Forgets those up to this number.
    pub fn acknowledge(&mut self, number: u64) {
        while self.first <= number && self.kept.pop_front().is_some() {
            self.first += 1;
        }
        self.next = self.next.max(self.first);
    }

    /// The next one to send now, with its number.
    pub fn next_to_send(&mut self) -> Option<(u64, Sample)> {
        let at = usize::try_from(self.next - self.first).ok()?;
        let sample = self.kept.get(at)?.clone();
        self.next += 1;
        Some((self.next - 1, sample))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(n: i64) -> Sample {
        Sample {
            at: Time(n),
            values: Vec::new(),
        }
    }

    fn sent(samples: &mut Samples) -> Vec<(u64, i64)> {
        std::iter::from_fn(|| samples.next_to_send())
            .map(|(number, sample)| (number, sample.at.0))
            .collect()
    }

    #[test]
    fn what_is_not_acknowledged_is_sent_again() {
        let mut samples = Samples::new(Time(10));
        (0..3).for_each(|n| samples.push(sample(n)));
        assert_eq!(sent(&mut samples), [(10, 0), (11, 1), (12, 2)]);
        samples.acknowledge(10);
        assert_eq!(sent(&mut samples), []);
        samples.rewind();
        assert_eq!(sent(&mut samples), [(11, 1), (12, 2)]);
        samples.acknowledge(u64::MAX);
        samples.push(sample(3));
        assert_eq!(sent(&mut samples), [(13, 3)]);
    }

    #[test]
    fn the_oldest_go_first() {
        let mut samples = Samples::new(Time(1));
        (0..SAMPLES_KEPT as i64 + 5).for_each(|n| samples.push(sample(n)));
        let first = sent(&mut samples);
        assert_eq!((first.len(), first[0]), (SAMPLES_KEPT, (6, 5)));
        assert_eq!(first.last(), Some(&(SAMPLES_KEPT as u64 + 5, SAMPLES_KEPT as i64 + 4)));
    }
}
