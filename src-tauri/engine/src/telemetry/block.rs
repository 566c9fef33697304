//! The stored form of some minutes of one node's samples: columns of differences as variable-length integers.
//!
//! Percent, degrees, watts and load keep two decimals, bytes whole pages of 4 KiB, rates whole bytes a second.
//! A steady series takes one byte a sample, a lively one two to three.

use edgedeck_model::{
    Time,
    telemetry::{Metric, Sample, Unit, Value},
};
use std::collections::BTreeSet;

const FORM: u8 = 1;
/// Most samples and columns that a block is believed to hold.
const ENTRIES_MAX: u64 = 100_000;

fn scale(metric: Metric) -> f64 {
    match metric.unit() {
        Unit::Bytes => 1.0 / 4096.0,
        Unit::BytesPerSecond | Unit::BitsPerSecond => 1.0,
        Unit::Percent | Unit::Celsius | Unit::Watt | Unit::Plain => 100.0,
    }
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_signed(out: &mut Vec<u8>, number: i64) {
    put(out, ((number << 1) ^ (number >> 63)) as u64);
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i64> {
        let number = self.number()?;
        Some((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    fn count(&mut self) -> Option<u64> {
        self.number().filter(|count| *count <= ENTRIES_MAX)
    }
}

/// Samples in the order of their times.
pub fn encode(samples: &[Sample]) -> Vec<u8> {
    let mut out = vec![FORM];
    put(&mut out, samples.len() as u64);
    let mut before = 0;
    for sample in samples {
        put_signed(&mut out, sample.at.0.wrapping_sub(before));
        before = sample.at.0;
    }
    let columns: BTreeSet<(u8, u32)> = samples
        .iter()
        .flat_map(|sample| &sample.values)
        .map(|value| (value.metric as u8, value.part))
        .collect();
    put(&mut out, columns.len() as u64);
    for (number, part) in columns {
        let Some(metric) = Metric::from_number(number) else {
            continue;
        };
        out.push(number);
        put(&mut out, part.into());
        let scale = scale(metric);
        let cells: Vec<Option<i64>> = samples
            .iter()
            .map(|sample| {
                let value = sample
                    .values
                    .iter()
                    .find(|value| value.metric == metric && value.part == part)?;
                // Keeps differences within 64 bits, far beyond what any metric reaches.
                Some((f64::from(value.value) * scale).round().clamp(-1e17, 1e17) as i64)
            })
            .collect();
        let full = cells.iter().all(Option::is_some);
        out.push(full.into());
        if !full {
            let bits = cells.chunks(8).map(|chunk| {
                chunk
                    .iter()
                    .enumerate()
                    .fold(0, |byte, (bit, cell)| byte | (u8::from(cell.is_some()) << bit))
            });
            out.extend(bits);
        }
        let mut before = 0;
        for cell in cells.into_iter().flatten() {
            put_signed(&mut out, cell - before);
            before = cell;
        }
    }
    out
}

/// `None` for bytes that no [`encode`] has written.
pub fn decode(bytes: &[u8]) -> Option<Vec<Sample>> {
    let mut reader = Reader(bytes);
    if reader.byte()? != FORM {
        return None;
    }
    let count = reader.count()?;
    let (mut samples, mut at) = (Vec::new(), 0_i64);
    for _ in 0..count {
        at = at.wrapping_add(reader.signed()?);
        samples.push(Sample {
            at: Time(at),
            values: Vec::new(),
        });
    }
    for _ in 0..reader.count()? {
        let metric = Metric::from_number(reader.byte()?)?;
        let part = u32::try_from(reader.number()?).ok()?;
        let full = reader.byte()? == 1;
        let present: Vec<bool> = if full {
            vec![true; samples.len()]
        } else {
            let bytes = (0..samples.len().div_ceil(8))
                .map(|_| reader.byte())
                .collect::<Option<Vec<u8>>>()?;
            (0..samples.len())
                .map(|at| bytes.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1))
                .collect()
        };
        let mut cell = 0_i64;
        for (sample, _) in samples.iter_mut().zip(present).filter(|(_, present)| *present) {
            cell = cell.wrapping_add(reader.signed()?);
            sample.values.push(Value {
                metric,
                part,
                value: (cell as f64 / scale(metric)) as f32,
            });
        }
    }
    Some(samples)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> impl Strategy<Value = Sample> {
        let value = (0..Metric::ALL.len(), 0..4_u32, -1e9_f32..1e9).prop_map(|(metric, part, value)| Value {
            metric: Metric::ALL[metric],
            part,
            value,
        });
        (0..2_000_000_000_000_i64, proptest::collection::vec(value, 0..20))
            .prop_map(|(at, values)| Sample { at: Time(at), values })
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(samples in proptest::collection::vec(sample(), 0..40)) {
            let decoded = decode(&encode(&samples)).unwrap();
            prop_assert_eq!(decoded.len(), samples.len());
            for (before, after) in samples.iter().zip(&decoded) {
                prop_assert_eq!(before.at, after.at);
                for value in &after.values {
                    let first = before.values.iter().find(|v| v.metric == value.metric && v.part == value.part).unwrap();
                    let step = 1.0 / scale(value.metric);
                    let error = (f64::from(first.value) - f64::from(value.value)).abs();
                    prop_assert!(error <= step + f64::from(first.value).abs() * 1e-6, "{first:?} {value:?}");
                }
            }
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            decode(&bytes);
        }
    }

    #[test]
    fn a_lively_series_takes_less_than_four_bytes_a_value() {
        let samples: Vec<Sample> = (0..20_i64)
            .map(|n| Sample {
                at: Time(1_700_000_000_000 + n * 30_000),
                values: (0..20)
                    .map(|part| Value {
                        metric: Metric::NpuPercent,
                        part,
                        value: ((n * 37 + i64::from(part) * 11) % 100) as f32,
                    })
                    .collect(),
            })
            .collect();
        assert!(encode(&samples).len() < 20 * 20 * 4, "{}", encode(&samples).len());
    }
}
