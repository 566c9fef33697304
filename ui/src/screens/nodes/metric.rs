//! What tiles are coloured by.

use crate::{
    components::Sign, components::sign_of_alarm, components::sign_of_node, format, i18n::Text, store::NodeEntry, texts,
};
use edgedeck_model::{
    Lang,
    alarm::Severity,
    telemetry::{Live, Unit},
    text,
};

texts! {
    STATE: "状态", "State";
    NPU: "NPU 使用率", "NPU use";
    NPU_TEMPERATURE: "NPU 温度", "NPU temperature";
    NPU_MEMORY: "NPU 内存", "NPU memory";
    CPU: "CPU 使用率", "CPU use";
    MEMORY: "内存使用率", "Memory use";
    DISK: "磁盘使用率", "Disk use";
    ALARMS: "告警", "Alarms";
    NO_ALARM: "无告警", "No alarm";
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TileMetric {
    State,
    Npu,
    NpuTemperature,
    NpuMemory,
    Cpu,
    Memory,
    Disk,
    Alarms,
}

/// How a tile looks: the class that colours it, and the sign and words on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Face {
    pub class: &'static str,
    pub sign: Option<Sign>,
    /// Short enough for the smallest tile.
    pub short: String,
    pub word: String,
}

/// From cool to hot; lightness alone tells the order.
const HEAT: [&str; 5] = ["heat-0", "heat-1", "heat-2", "heat-3", "heat-4"];

impl TileMetric {
    pub const ALL: [Self; 8] = [
        Self::State,
        Self::Npu,
        Self::NpuTemperature,
        Self::NpuMemory,
        Self::Cpu,
        Self::Memory,
        Self::Disk,
        Self::Alarms,
    ];

    pub fn key(self) -> &'static str {
        match self {
            Self::State => "",
            Self::Npu => "npu",
            Self::NpuTemperature => "npu-temperature",
            Self::NpuMemory => "npu-memory",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Alarms => "alarms",
        }
    }

    pub fn of_key(key: &str) -> Self {
        Self::ALL
            .into_iter()
            .find(|metric| metric.key() == key)
            .unwrap_or(Self::State)
    }

    pub fn word(self, lang: Lang) -> &'static str {
        let word: Text = match self {
            Self::State => STATE,
            Self::Npu => NPU,
            Self::NpuTemperature => NPU_TEMPERATURE,
            Self::NpuMemory => NPU_MEMORY,
            Self::Cpu => CPU,
            Self::Memory => MEMORY,
            Self::Disk => DISK,
            Self::Alarms => ALARMS,
        };
        word.of(lang)
    }

    /// The figure of a node, where it is one; and its unit.
    fn figure(self, live: &Live) -> Option<(Option<f32>, Unit)> {
        let figure = match self {
            Self::State | Self::Alarms => return None,
            Self::Npu => live.npu,
            Self::NpuTemperature => live.npu_temperature,
            Self::NpuMemory => live.npu_memory,
            Self::Cpu => live.cpu,
            Self::Memory => live.memory,
            Self::Disk => live.disk,
        };
        Some((
            figure,
            if self == Self::NpuTemperature {
                Unit::Celsius
            } else {
                Unit::Percent
            },
        ))
    }

    /// The figure in the steps that a tile shows: tenths.
    pub fn step(self, live: &Live) -> Option<i32> {
        let (figure, _) = self.figure(live)?;
        // A cast from float to integer saturates.
        figure.map(|value| (value * 10.0).round() as i32)
    }

    /// How the tile of a node looks.
    pub fn face(self, node: &NodeEntry, worst: Option<Severity>, lang: Lang) -> Face {
        let state = sign_of_node(node.row.state);
        let of_sign = |sign: Sign, word: String| Face {
            class: sign.tone.class(),
            sign: Some(sign),
            short: String::new(),
            word,
        };
        match self.figure(&node.live) {
            // A figure from before the link was lost would pass for one of now.
            Some(_) if !node.row.state.is_connected() => {
                of_sign(state, text::node_state(node.row.state, lang).to_owned())
            }
            Some((Some(value), unit)) => {
                let short = format!("{value:.0}");
                Face {
                    class: heat(value, unit),
                    sign: None,
                    short,
                    word: format::measured(Some(value.into()), unit),
                }
            }
            Some((None, _)) => {
                let nothing = format::NOTHING.to_owned();
                Face {
                    class: "tone-quiet",
                    sign: None,
                    short: nothing.clone(),
                    word: nothing,
                }
            }
            None if self == Self::Alarms => match worst {
                Some(severity) => of_sign(sign_of_alarm(severity), text::severity(severity, lang).to_owned()),
                None => Face {
                    class: "tone-good",
                    sign: None,
                    short: String::new(),
                    word: NO_ALARM.of(lang).to_owned(),
                },
            },
            None => of_sign(state, text::node_state(node.row.state, lang).to_owned()),
        }
    }
}

/// The step of the scale that a value falls on: percent evenly, temperatures from 30 to 90 °C.
fn heat(value: f32, unit: Unit) -> &'static str {
    let share = if unit == Unit::Celsius {
        (value - 30.0) / 60.0
    } else {
        value / 100.0
    };
    // A cast from float to integer saturates; NaN becomes 0.
    let step = (share.clamp(0.0, 0.999) * 5.0) as usize;
    HEAT.get(step).copied().unwrap_or("heat-0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heat_has_ends() {
        let percent = |value| heat(value, Unit::Percent);
        assert_eq!(
            (percent(-5.0), percent(0.0), percent(19.9)),
            ("heat-0", "heat-0", "heat-0")
        );
        assert_eq!(
            (percent(20.0), percent(100.0), percent(f32::INFINITY)),
            ("heat-1", "heat-4", "heat-4")
        );
        assert_eq!(percent(f32::NAN), "heat-0");
        assert_eq!(
            (heat(30.0, Unit::Celsius), heat(89.0, Unit::Celsius)),
            ("heat-0", "heat-4")
        );
    }

    #[test]
    fn keys_come_back() {
        for metric in TileMetric::ALL {
            assert_eq!(TileMetric::of_key(metric.key()), metric);
        }
        assert_eq!(TileMetric::of_key("nonsense"), TileMetric::State);
    }
}
