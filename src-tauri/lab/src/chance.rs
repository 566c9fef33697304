//! Chance that is the same every time: numbers out of a seed and what they are for.

/// A 64-bit number out of these, as good as random and always the same.
pub fn number(inputs: &[u64]) -> u64 {
    inputs.iter().fold(0x9e37_79b9_7f4a_7c15, |state, input| {
        // The finaliser of SplitMix64.
        let mut z = state ^ input.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)).wrapping_add(0x9e37_79b9_7f4a_7c15)
    })
}

/// From 0 (within) to 1 (without).
pub fn share(inputs: &[u64]) -> f64 {
    (number(inputs) >> 11) as f64 / (1_u64 << 53) as f64
}

/// One of a list; `None` of an empty one.
pub fn pick<'a, T>(list: &'a [T], inputs: &[u64]) -> Option<&'a T> {
    let at = number(inputs).checked_rem(list.len() as u64)?;
    list.get(usize::try_from(at).ok()?)
}

/// From 0 to 1, moving smoothly over time: a new value each period, and between them a soft slope.
pub fn drift(at_ms: i64, period_ms: i64, inputs: &[u64; 3]) -> f64 {
    let (step, within) = (at_ms.div_euclid(period_ms), at_ms.rem_euclid(period_ms));
    let [a, b, c] = *inputs;
    let value = |step: i64| share(&[a, b, c, step as u64]);
    let x = within as f64 / period_ms as f64;
    let soft = x * x * (3.0 - 2.0 * x);
    value(step) + (value(step + 1) - value(step)) * soft
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_spread_evenly() {
        let mean = (0..10_000).map(|n| share(&[1, n])).sum::<f64>() / 10_000.0;
        assert!((0.48..0.52).contains(&mean), "{mean}");
        assert_eq!(pick::<u8>(&[], &[1]), None);
    }

    #[test]
    fn drift_has_no_jumps() {
        let values: Vec<f64> = (0..10_000).map(|s| drift(s * 1_000, 600_000, &[1, 2, 3])).collect();
        assert!(values.windows(2).all(|pair| (pair[0] - pair[1]).abs() < 0.01));
        assert!(values.iter().all(|value| (0.0..=1.0).contains(value)));
    }
}
