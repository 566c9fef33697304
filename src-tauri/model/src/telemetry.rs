//! Measurements: what is measured, in which unit, and how it is asked for.

use crate::{NodeId, Time};
use serde::{Deserialize, Serialize};

/// What a sample measures. The number is its place on the wire and on disk: never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Metric {
    /// Share of all processors in use, 0 to 100.
    CpuPercent = 1,
    /// Bytes that are not available to new programs.
    MemoryUsed = 2,
    MemoryPercent = 3,
    /// Fullest disk, 0 to 100.
    DiskPercent = 4,
    /// Load average over one minute.
    Load1 = 5,
    /// Bytes a second, all interfaces but loopback.
    NetworkReceived = 6,
    NetworkSent = 7,
    /// AI-core use of one chip, 0 to 100.
    NpuPercent = 16,
    /// Memory use of one chip (HBM where it has it), 0 to 100.
    NpuMemoryPercent = 17,
    /// Degrees Celsius of one chip.
    NpuTemperature = 18,
    /// Watts of one chip.
    NpuPower = 19,
}

impl Metric {
    pub const ALL: [Self; 11] = [
        Self::CpuPercent,
        Self::MemoryUsed,
        Self::MemoryPercent,
        Self::DiskPercent,
        Self::Load1,
        Self::NetworkReceived,
        Self::NetworkSent,
        Self::NpuPercent,
        Self::NpuMemoryPercent,
        Self::NpuTemperature,
        Self::NpuPower,
    ];

    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| *metric as u8 == number)
    }

    /// Whether there is one series per chip, told apart by `part`.
    pub fn is_per_chip(self) -> bool {
        self as u8 >= 16
    }

    pub fn unit(self) -> Unit {
        match self {
            Self::CpuPercent | Self::MemoryPercent | Self::DiskPercent | Self::NpuPercent | Self::NpuMemoryPercent => {
                Unit::Percent
            }
            Self::MemoryUsed => Unit::Bytes,
            Self::Load1 => Unit::Plain,
            Self::NetworkReceived | Self::NetworkSent => Unit::BytesPerSecond,
            Self::NpuTemperature => Unit::Celsius,
            Self::NpuPower => Unit::Watt,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    Percent,
    Bytes,
    BytesPerSecond,
    BitsPerSecond,
    Celsius,
    Watt,
    Plain,
}

/// One measured number.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Value {
    pub metric: Metric,
    /// The chip's key for a metric per chip ([`crate::npu::NpuChip::key`]), else 0.
    pub part: u32,
    pub value: f32,
}

/// Everything measured on one node at one time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    pub at: Time,
    pub values: Vec<Value>,
}

/// The newest figures of a node, as tiles show them. Absent: not measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Live {
    pub at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load1: Option<f32>,
    /// Bytes a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent: Option<f32>,
    /// Mean AI-core use over the chips.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub npu: Option<f32>,
    /// Fullest chip memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub npu_memory: Option<f32>,
    /// Hottest chip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub npu_temperature: Option<f32>,
}

impl Live {
    pub fn of(sample: &Sample) -> Self {
        let of = |metric| {
            sample
                .values
                .iter()
                .filter(move |v| v.metric == metric && v.value.is_finite())
                .map(|v| v.value)
        };
        let max = |metric| of(metric).reduce(f32::max);
        let count = of(Metric::NpuPercent).count();
        Self {
            at: sample.at,
            cpu: max(Metric::CpuPercent),
            memory: max(Metric::MemoryPercent),
            disk: max(Metric::DiskPercent),
            load1: max(Metric::Load1),
            received: max(Metric::NetworkReceived),
            sent: max(Metric::NetworkSent),
            npu: (count > 0).then(|| of(Metric::NpuPercent).sum::<f32>() / count as f32),
            npu_memory: max(Metric::NpuMemoryPercent),
            npu_temperature: max(Metric::NpuTemperature),
        }
    }
}

/// Asks for the series of one metric: of one node, or, without `node`, the lab's mean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeriesQuery {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
    pub metric: Metric,
    pub from: Time,
    pub to: Time,
}

/// One line of a chart. A point without a value is a gap.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    pub metric: Metric,
    pub part: u32,
    pub points: Vec<(Time, Option<f32>)>,
}
