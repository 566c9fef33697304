//! Numbers with their units, and round steps for an axis.

use edgedeck_model::telemetry::Unit;

/// `value` for a reader: `12.5 %`, `71 °C`, `3.2 GiB`, `1.4 MB/s`. A dash for what is not finite.
pub fn format_value(value: f64, unit: Unit) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let scale = Scale::of(value.abs(), unit);
    let scaled = value / scale.factor;
    let decimals = match scaled.abs() {
        _ if unit == Unit::Bytes && scale.factor == 1.0 => 0,
        size if size >= 100.0 && unit != Unit::Percent => 0,
        _ => 1,
    };
    scale.with_unit(number(scaled, decimals))
}

/// A number of things, in groups of three digits: `12,345`.
pub fn format_count(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A round range for an axis and the values of its ticks.
pub(crate) struct Axis {
    pub min: f64,
    pub max: f64,
    pub ticks: Vec<f64>,
    scale: Scale,
    decimals: usize,
}

impl Axis {
    /// Covers `low..=high` with about `wanted` steps. `fixed` keeps the ends as they are.
    pub fn new(low: f64, high: f64, unit: Unit, wanted: usize, fixed: bool) -> Self {
        let scale = Scale::of(low.abs().max(high.abs()), unit);
        let (low, high) = (low / scale.factor, high / scale.factor);
        let step = round_step((high - low) / wanted.max(1) as f64);
        let (first, last) = if fixed {
            ((low / step - 1e-9).ceil(), (high / step + 1e-9).floor())
        } else {
            ((low / step + 1e-9).floor(), (high / step - 1e-9).ceil())
        };
        // Bounded, whatever the input was.
        let count = (last - first).clamp(0.0, 40.0) as usize;
        let ticks: Vec<f64> = (0..=count).map(|n| (first + n as f64) * step * scale.factor).collect();
        let (min, max) = if fixed {
            (low, high)
        } else {
            (first * step, last * step)
        };
        // One more than the step's first digit needs, for steps of 2.5; `number` drops zeros at the end.
        let decimals = (1.0 - step.log10().floor()).clamp(0.0, 6.0) as usize;
        Self {
            min: min * scale.factor,
            max: max * scale.factor,
            ticks,
            scale,
            decimals,
        }
    }

    pub fn label(&self, value: f64) -> String {
        self.scale.with_unit(number(value / self.scale.factor, self.decimals))
    }
}

/// The multiple of a unit that suits a size, such as GiB.
struct Scale {
    factor: f64,
    suffix: &'static str,
}

impl Scale {
    fn of(size: f64, unit: Unit) -> Self {
        let pick = |steps: &[(f64, &'static str)], plain: &'static str| {
            let step = steps.iter().rev().find(|(factor, _)| size >= *factor);
            step.map_or(
                Self {
                    factor: 1.0,
                    suffix: plain,
                },
                |(factor, suffix)| Self {
                    factor: *factor,
                    suffix,
                },
            )
        };
        const KIB: f64 = 1024.0;
        match unit {
            Unit::Percent => Self {
                factor: 1.0,
                suffix: "%",
            },
            Unit::Celsius => Self {
                factor: 1.0,
                suffix: "°C",
            },
            Unit::Watt => pick(&[(1e3, "kW")], "W"),
            // Counts stay whole up to five digits.
            Unit::Plain if size < 1e5 => Self {
                factor: 1.0,
                suffix: "",
            },
            Unit::Plain => pick(&[(1e3, "k"), (1e6, "M"), (1e9, "G")], ""),
            Unit::Bytes => {
                let steps = [
                    (KIB, "KiB"),
                    (KIB.powi(2), "MiB"),
                    (KIB.powi(3), "GiB"),
                    (KIB.powi(4), "TiB"),
                ];
                pick(&steps, "B")
            }
            Unit::BytesPerSecond => pick(&[(1e3, "kB/s"), (1e6, "MB/s"), (1e9, "GB/s")], "B/s"),
            Unit::BitsPerSecond => pick(&[(1e3, "kbit/s"), (1e6, "Mbit/s"), (1e9, "Gbit/s")], "bit/s"),
        }
    }

    fn with_unit(&self, number: String) -> String {
        if self.suffix.is_empty() {
            number
        } else {
            format!("{number} {}", self.suffix)
        }
    }
}

/// The least of 1, 2, 2.5, 5 times a power of ten that is at least `size`.
fn round_step(size: f64) -> f64 {
    if !(size.is_finite() && size > 0.0) {
        return 1.0;
    }
    let power = 10f64.powf(size.log10().floor());
    let factor = [1.0, 2.0, 2.5, 5.0]
        .into_iter()
        .find(|factor| factor * power >= size * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

/// Fixed decimals without a trailing ".0" and without "-0".
fn number(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let text = if decimals > 0 {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    };
    if text == "-0" { "0".to_owned() } else { text }
}
