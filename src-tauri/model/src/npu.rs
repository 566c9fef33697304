//! What is known of the NPUs of a node: cards, their chips, and what runs on them.
//!
//! A *card* is what the vendor's tool numbers by NPU ID (any number, not an index: 0, 12, 215 and 2944 are all real);
//! a *chip* is one die of it and the unit work is placed on. A value the tool did not print, or printed as `NA` or
//! `-`, is `None`: a sensor that is missing is never the same as a sensor that reads 0.
//!
//! Units throughout: bytes, °C, W, MHz, percent from 0 to 100. The tool's "MB" and "GB" are powers of 1024.

use crate::name;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The largest NPU ID and chip ID that are read. Real ones are far below, and with these limits a chip's key fits one
/// number, see [`NpuChipKey::part`].
pub const NPU_ID_MAX: u32 = 0x00ff_ffff;
/// See [`NPU_ID_MAX`].
pub const CHIP_ID_MAX: u32 = 0xfe;

/// Texts of a chip are cut to this many characters before they are stored or shown.
const TEXT_MAX: usize = 64;
/// Processes of a chip beyond these are cut off before they are stored or shown.
const PROCESSES_MAX: usize = 256;

/// All the chips of a node at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NpuReport {
    /// Version of the tool itself, as printed (`23.0.rc3`).
    pub tool_version: Option<String>,
    /// Version of the driver, as printed beside it; the two differ on some nodes.
    pub driver_version: Option<String>,
    /// In the order the tool printed them; no two have the same [`NpuChip::key`].
    pub chips: Vec<NpuChip>,
    /// Lines that could not be read (cut short, left out, not understood). Above 0 the report is incomplete: a chip
    /// missing from it may still be there.
    pub unread_lines: u32,
}

/// Names a chip within its node, the same after a restart: written `5` (a card without chip numbers) or `5-1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NpuChipKey {
    /// The card.
    pub npu_id: u32,
    /// The chip on the card; `None` on products that number cards only (950).
    pub chip_id: Option<u32>,
}

impl NpuChipKey {
    /// The key as the number that telemetry files a chip's values under; different keys within [`NPU_ID_MAX`] and
    /// [`CHIP_ID_MAX`] have different ones. Ids beyond are taken as the limits.
    pub fn part(self) -> u32 {
        (self.npu_id.min(NPU_ID_MAX) << 8) | self.chip_id.map_or(0, |chip_id| chip_id.min(CHIP_ID_MAX) + 1)
    }

    /// The key that has this [`part`](Self::part).
    pub fn from_part(part: u32) -> Self {
        Self {
            npu_id: part >> 8,
            chip_id: (part & 0xff).checked_sub(1),
        }
    }
}

/// The text is not a chip key: one or two decimal numbers joined by `-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAChipKey;

impl fmt::Display for NotAChipKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an NPU chip key: write the NPU ID, or the NPU ID and the chip ID as in 5-1")
    }
}

impl std::error::Error for NotAChipKey {}

impl fmt::Display for NpuChipKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.chip_id {
            Some(chip_id) => write!(f, "{}-{chip_id}", self.npu_id),
            None => write!(f, "{}", self.npu_id),
        }
    }
}

impl FromStr for NpuChipKey {
    type Err = NotAChipKey;

    fn from_str(text: &str) -> Result<Self, NotAChipKey> {
        let number = |part: &str| -> Result<u32, NotAChipKey> {
            // `u32::from_str` also takes a leading `+`, which would give one chip two keys.
            if part.bytes().all(|b| b.is_ascii_digit()) {
                part.parse().map_err(|_| NotAChipKey)
            } else {
                Err(NotAChipKey)
            }
        };
        match text.split_once('-') {
            Some((npu, chip)) => Ok(Self {
                npu_id: number(npu)?,
                chip_id: Some(number(chip)?),
            }),
            None => Ok(Self {
                npu_id: number(text)?,
                chip_id: None,
            }),
        }
    }
}

impl TryFrom<String> for NpuChipKey {
    type Error = NotAChipKey;

    fn try_from(text: String) -> Result<Self, NotAChipKey> {
        text.parse()
    }
}

impl From<NpuChipKey> for String {
    fn from(key: NpuChipKey) -> Self {
        key.to_string()
    }
}

/// One chip: its state and what it carries.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NpuChip {
    /// The card the chip is on.
    pub npu_id: u32,
    /// The chip's number on its card; `None` on products that number cards only (950).
    pub chip_id: Option<u32>,
    /// The number programs open the chip by (0 … number of chips − 1 over the node); not stable over restarts.
    pub logic_id: Option<u32>,
    /// The chip's physical number over the node; printed for dual-die cards.
    pub phy_id: Option<u32>,
    /// The chip's device number as printed for 310, 310P and 310B; it is not always the logic id.
    pub device_id: Option<u32>,
    /// Product name as printed: `310P3`, `910B4`, `310Pvir01`.
    pub name: String,
    /// What the tool says of the chip's health.
    pub health: NpuHealth,
    /// Power drawn, W. Of a dual-die card the first die carries the whole card's; cards with a management
    /// controller (310P) print it there instead, see [`NpuReading::power_w`].
    pub power_w: Option<f64>,
    /// Temperature, °C.
    pub temperature_c: Option<f64>,
    /// Huge pages in use, of those set aside.
    pub hugepages: Option<NpuPages>,
    /// PCIe address (`0000:C1:00.0`). Not a key: both chips of a 300I Duo have the same, a 310B has none.
    pub bus_id: Option<String>,
    /// Use of the AI cores, percent.
    pub ai_core_percent: Option<f64>,
    /// Use of the whole NPU, percent; printed instead of the AI cores' by newer products (950).
    pub npu_percent: Option<f64>,
    /// DDR memory of the chip; `None` when it has none (printed as `0 / 0`).
    pub memory: Option<NpuMemory>,
    /// High-bandwidth memory of the chip; `None` when it has none.
    pub hbm: Option<NpuMemory>,
    /// Processes of the node that use the chip.
    pub processes: Vec<NpuProcess>,
}

impl NpuChip {
    /// The chip's stable name within its node.
    pub fn key(&self) -> NpuChipKey {
        NpuChipKey {
            npu_id: self.npu_id,
            chip_id: self.chip_id,
        }
    }

    /// How busy the chip is, percent: its AI cores, or the whole NPU where only that is printed.
    pub fn load_percent(&self) -> Option<f64> {
        self.ai_core_percent.or(self.npu_percent)
    }

    /// The memory that models fill: HBM where there is some, otherwise DDR.
    pub fn main_memory(&self) -> Option<NpuMemory> {
        self.hbm.or(self.memory)
    }

    /// The chip without what moves all the time: what is worth a write when it changes.
    pub fn lasting(&self) -> Self {
        let emptied = |memory: NpuMemory| NpuMemory {
            used_bytes: 0,
            ..memory
        };
        Self {
            npu_id: self.npu_id,
            chip_id: self.chip_id,
            logic_id: self.logic_id,
            phy_id: self.phy_id,
            device_id: self.device_id,
            name: self.name.clone(),
            health: self.health,
            power_w: None,
            temperature_c: None,
            hugepages: self.hugepages.map(|pages| NpuPages { used: 0, ..pages }),
            bus_id: self.bus_id.clone(),
            ai_core_percent: None,
            npu_percent: None,
            memory: self.memory.map(emptied),
            hbm: self.hbm.map(emptied),
            processes: Vec::new(),
        }
    }

    /// Cuts what a node says of the chip to what the database and the screens can bear: short texts without control
    /// characters, a bounded number of processes, finite numbers.
    pub fn tame(&mut self) {
        self.npu_id = self.npu_id.min(NPU_ID_MAX);
        self.chip_id = self.chip_id.map(|chip_id| chip_id.min(CHIP_ID_MAX));
        self.name = name::tame(&self.name, TEXT_MAX);
        self.bus_id = self
            .bus_id
            .as_deref()
            .map(|text| name::tame(text, TEXT_MAX))
            .filter(|text| !text.is_empty());
        self.power_w = self.power_w.filter(|value| value.is_finite());
        self.temperature_c = self.temperature_c.filter(|value| value.is_finite());
        self.ai_core_percent = self.ai_core_percent.filter(|value| (0.0..=100.0).contains(value));
        self.npu_percent = self.npu_percent.filter(|value| (0.0..=100.0).contains(value));
        self.memory = self.memory.filter(|memory| memory.total_bytes > 0);
        self.hbm = self.hbm.filter(|memory| memory.total_bytes > 0);
        self.processes.truncate(PROCESSES_MAX);
        for process in &mut self.processes {
            process.name = name::tame(&process.name, TEXT_MAX);
        }
    }

    /// Whether it is of this model: `310P` means 310P3 as well, `910B` every 910B, and `910` the first 910, which is
    /// printed as 910A. A 310P is no `310`.
    pub fn is_model(&self, model: &str) -> bool {
        let Some(rest) = self.name.strip_prefix(model) else {
            return false;
        };
        let is_variant =
            rest.starts_with(|c: char| c.is_ascii_digit()) && model.ends_with(|c: char| !c.is_ascii_digit());
        rest.is_empty() || is_variant || (model == "910" && rest == "A") || self.vnpu_template() == Some(rest)
    }

    /// The template a virtual NPU was cut by, read from its name: `vir01` of `310Pvir01`. `None` for a whole chip.
    pub fn vnpu_template(&self) -> Option<&str> {
        let template = self.name.get(self.name.find("vir")?..)?;
        template
            .get(3..)?
            .starts_with(|c: char| c.is_ascii_digit())
            .then_some(template)
    }
}

/// Health of a chip or card, worst last; `Unknown` sorts first because it claims nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NpuHealth {
    /// Not printed, or a word that is none of the others.
    #[default]
    Unknown,
    /// Works.
    Ok,
    /// Works, something should be looked at.
    Warning,
    /// A fault that affects work.
    Alarm,
    /// Cannot be used.
    Critical,
}

/// Memory of a chip, bytes. `total_bytes` is above 0; `used_bytes` is as printed and not bounded by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NpuMemory {
    /// In use.
    pub used_bytes: u64,
    /// In all.
    pub total_bytes: u64,
}

/// Huge pages, counted in pages. A total of 0 says that none are set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NpuPages {
    /// In use.
    pub used: u64,
    /// Set aside.
    pub total: u64,
}

/// A process of the node that uses a chip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NpuProcess {
    /// Process id on the node.
    pub pid: u32,
    /// Name, cut to 15 characters by the kernel.
    pub name: String,
    /// Chip memory it holds, bytes.
    pub memory_bytes: Option<u64>,
}

/// A line of the list of chips, which also has the cards' management controllers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NpuMapping {
    /// The card.
    pub npu_id: u32,
    /// The chip or controller on the card.
    pub chip_id: Option<u32>,
    /// The number programs open the chip by; `None` for a controller.
    pub logic_id: Option<u32>,
    /// The chip's physical number over the node, where printed.
    pub phy_id: Option<u32>,
    /// Name as printed: `Ascend 910A`, `Mcu`.
    pub name: String,
}

/// A card of the list of cards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NpuCard {
    /// The card.
    pub npu_id: u32,
    /// Product name of the card.
    pub product_name: Option<String>,
    /// Serial number of the card.
    pub serial_number: Option<String>,
    /// Chips on the card.
    pub chip_count: Option<u32>,
}

/// What a card or chip is made of. Every field is as printed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NpuBoard {
    /// The card.
    pub npu_id: Option<u32>,
    /// The chip, when the page is of one chip.
    pub chip_id: Option<u32>,
    /// Product name of the card.
    pub product_name: Option<String>,
    /// Model of the card.
    pub model: Option<String>,
    /// Who made it.
    pub manufacturer: Option<String>,
    /// Serial number.
    pub serial_number: Option<String>,
    /// Version of the driver.
    pub software_version: Option<String>,
    /// Version of the firmware.
    pub firmware_version: Option<String>,
    /// `OK` when driver and firmware fit each other.
    pub compatibility: Option<String>,
    /// Kind of board, hexadecimal (`0x02`).
    pub board_id: Option<String>,
    /// Revision of the circuit board.
    pub pcb_id: Option<String>,
    /// Revision of the bill of materials.
    pub bom_id: Option<String>,
    /// PCIe address.
    pub bus_id: Option<String>,
    /// PCIe vendor, hexadecimal.
    pub pci_vendor_id: Option<String>,
    /// PCIe device, hexadecimal.
    pub pci_device_id: Option<String>,
    /// Slot the card is in.
    pub slot_id: Option<u32>,
    /// Chips on the card.
    pub chip_count: Option<u32>,
    /// Name of the chip.
    pub chip_name: Option<String>,
    /// Revision of the chip.
    pub chip_version: Option<String>,
    /// The die's own number, unique in the world (VDie ID, or DDie ID on 950).
    pub die_id: Option<String>,
}

/// Measurements of one chip, or of a card's management controller, from any of the detail pages. Each page fills the
/// fields it prints and leaves the others `None`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NpuReading {
    /// The card.
    pub npu_id: Option<u32>,
    /// The chip; `None` for the controller and on products that number cards only.
    pub chip_id: Option<u32>,
    /// These are the management controller's values: its temperature is the board's, its power the whole card's.
    pub controller: bool,
    /// DDR fitted, bytes; `None` when there is none.
    pub ddr_bytes: Option<u64>,
    /// DDR in use, percent.
    pub ddr_percent: Option<f64>,
    /// DDR bandwidth in use, percent.
    pub ddr_bandwidth_percent: Option<f64>,
    /// DDR clock, MHz.
    pub ddr_mhz: Option<f64>,
    /// Huge pages set aside, pages.
    pub hugepages_total: Option<u64>,
    /// Huge pages in use, percent.
    pub hugepages_percent: Option<f64>,
    /// HBM fitted, bytes; `None` when there is none.
    pub hbm_bytes: Option<u64>,
    /// HBM in use, percent.
    pub hbm_percent: Option<f64>,
    /// HBM bandwidth in use, percent.
    pub hbm_bandwidth_percent: Option<f64>,
    /// HBM clock, MHz.
    pub hbm_mhz: Option<f64>,
    /// HBM temperature, °C.
    pub hbm_temperature_c: Option<f64>,
    /// Use of the AI cores, percent.
    pub ai_core_percent: Option<f64>,
    /// Use of the AI cores' vector part, percent.
    pub ai_vector_percent: Option<f64>,
    /// Use of the AI cores' matrix part, percent.
    pub ai_cube_percent: Option<f64>,
    /// Use of the AI CPUs, percent.
    pub ai_cpu_percent: Option<f64>,
    /// Use of the control CPUs, percent.
    pub control_cpu_percent: Option<f64>,
    /// Use of the whole NPU, percent.
    pub npu_percent: Option<f64>,
    /// Rated clock of the AI cores, MHz.
    pub ai_core_mhz: Option<f64>,
    /// Clock of the AI cores now, MHz.
    pub ai_core_current_mhz: Option<f64>,
    /// Number of AI cores.
    pub ai_core_count: Option<u32>,
    /// Temperature of the chip or controller, °C.
    pub temperature_c: Option<f64>,
    /// Power drawn, W.
    pub power_w: Option<f64>,
    /// Temperature sensors with names of their own.
    pub sensors: Vec<NpuSensor>,
}

/// A named temperature sensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NpuSensor {
    /// Name as printed, without the unit: `LM75A_TE`, `Soc Max Temperature`.
    pub name: String,
    /// °C; `None` when the sensor is not fitted.
    pub temperature_c: Option<f64>,
}

/// Memory errors of a chip since it started, and over its life.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NpuEcc {
    /// The card.
    pub npu_id: Option<u32>,
    /// The chip; `None` on products that number cards only.
    pub chip_id: Option<u32>,
    /// Errors of the DDR; all `None` when it is not listed.
    pub ddr: NpuEccCounts,
    /// Errors of the HBM; all `None` when it is not listed.
    pub hbm: NpuEccCounts,
}

/// Error counts of one kind of memory. Single-bit errors were corrected, double-bit errors were not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NpuEccCounts {
    /// Corrected since the last start.
    pub single_bit: Option<u64>,
    /// Not corrected since the last start.
    pub double_bit: Option<u64>,
    /// Corrected over the chip's life.
    pub single_bit_total: Option<u64>,
    /// Not corrected over the chip's life.
    pub double_bit_total: Option<u64>,
    /// Pages no longer used because of corrected errors.
    pub single_bit_isolated_pages: Option<u64>,
    /// Pages no longer used because of errors that were not corrected.
    pub double_bit_isolated_pages: Option<u64>,
    /// Pages that the next start will stop using because of corrected errors.
    pub single_bit_next_isolated_pages: Option<u64>,
    /// Pages that the next start will stop using because of errors that were not corrected.
    pub double_bit_next_isolated_pages: Option<u64>,
}

/// Health of a card or chip with what is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NpuDiagnosis {
    /// The card, where printed.
    pub npu_id: Option<u32>,
    /// The overall word.
    pub health: NpuHealth,
    /// The vendor's fault codes (`0x80E3A203`); empty when nothing is wrong.
    pub error_codes: Vec<u32>,
    /// The vendor's sentence about them.
    pub information: Option<String>,
}

/// A fault that holds now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NpuFault {
    /// The vendor's fault code.
    pub event_id: u32,
    /// The vendor's severity: 0 note, 1 minor, 2 major, 3 critical.
    pub severity: Option<u32>,
    /// The vendor's line in full.
    pub information: String,
}

/// A flash chip of a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NpuFlash {
    /// Id as printed.
    pub flash_id: String,
    /// Manufacturer, hexadecimal.
    pub manufacturer_id: Option<String>,
    /// Size, bytes.
    pub capacity_bytes: Option<u64>,
}

/// A way to cut a chip into virtual NPUs, with the share each gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VnpuTemplate {
    /// Name: `vir01`, `vir04_3c`.
    pub name: String,
    /// AI cores.
    pub ai_cores: Option<u32>,
    /// Memory, bytes.
    pub memory_bytes: Option<u64>,
    /// AI CPUs.
    pub ai_cpus: Option<u32>,
    /// Image preprocessing units.
    pub vpc: Option<u32>,
    /// Video encoders.
    pub venc: Option<u32>,
    /// Video decoders.
    pub vdec: Option<u32>,
    /// JPEG decoders.
    pub jpegd: Option<u32>,
    /// JPEG encoders.
    pub jpege: Option<u32>,
    /// PNG decoders.
    pub pngd: Option<u32>,
}

/// A virtual NPU cut from a chip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vnpu {
    /// Its id on the chip.
    pub vnpu_id: u32,
    /// The group of resources it is part of.
    pub vgroup_id: Option<u32>,
    /// The container that holds it, in hexadecimal; `None` when none does.
    pub container_id: Option<String>,
    /// The vendor's state number.
    pub status: Option<u32>,
    /// The template it was cut by.
    pub template: Option<String>,
}

/// The tool's answer to a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NpuAnswer {
    /// The change was made.
    pub ok: bool,
    /// The tool's sentence.
    pub message: Option<String>,
}

/// The certificate a chip proves itself with. Times are as printed, in the node's own zone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NpuCertificate {
    /// The tool says that it expires soon or has expired.
    pub expiry_alarm: Option<bool>,
    /// Valid from.
    pub start: Option<String>,
    /// Valid until.
    pub end: Option<String>,
    /// Subject.
    pub common_name: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chip_keys_are_read_back_as_written() {
        for key in [
            NpuChipKey {
                npu_id: 0,
                chip_id: None,
            },
            NpuChipKey {
                npu_id: 2944,
                chip_id: Some(1),
            },
            NpuChipKey {
                npu_id: u32::MAX,
                chip_id: Some(u32::MAX),
            },
        ] {
            assert_eq!(key.to_string().parse(), Ok(key));
            let json = serde_json::to_string(&key).unwrap();
            assert_eq!(serde_json::from_str::<NpuChipKey>(&json).unwrap(), key);
        }
        assert_eq!(
            NpuChipKey {
                npu_id: 5,
                chip_id: Some(1)
            }
            .to_string(),
            "5-1"
        );
    }

    #[test]
    fn chip_keys_fit_one_number() {
        let keys = [
            (0, None),
            (0, Some(0)),
            (0, Some(1)),
            (1, None),
            (2944, Some(CHIP_ID_MAX)),
            (NPU_ID_MAX, Some(0)),
        ]
        .map(|(npu_id, chip_id)| NpuChipKey { npu_id, chip_id });
        for key in keys {
            assert_eq!(NpuChipKey::from_part(key.part()), key);
        }
    }

    #[test]
    fn a_hostile_chip_is_tamed() {
        let mut chip = NpuChip {
            npu_id: u32::MAX,
            chip_id: Some(u32::MAX),
            name: "x\u{1b}[31m\n".repeat(100),
            bus_id: Some("\n".into()),
            power_w: Some(f64::NAN),
            temperature_c: Some(f64::INFINITY),
            ai_core_percent: Some(1e9),
            npu_percent: Some(-1.0),
            hbm: Some(NpuMemory {
                used_bytes: 5,
                total_bytes: 0,
            }),
            processes: vec![
                NpuProcess {
                    pid: 1,
                    name: "y".repeat(10_000),
                    memory_bytes: None
                };
                10_000
            ],
            ..NpuChip::default()
        };
        chip.tame();
        assert_eq!(NpuChipKey::from_part(chip.key().part()), chip.key());
        assert!(
            chip.name.chars().count() <= TEXT_MAX && !chip.name.contains(char::is_control),
            "{:?}",
            chip.name
        );
        assert_eq!((chip.bus_id, chip.power_w, chip.temperature_c), (None, None, None));
        assert_eq!((chip.ai_core_percent, chip.npu_percent, chip.hbm), (None, None, None));
        assert_eq!(chip.processes.len(), PROCESSES_MAX);
        assert!(
            chip.processes
                .iter()
                .all(|process| process.name.chars().count() <= TEXT_MAX)
        );
    }

    #[test]
    fn only_what_moves_is_left_out_of_the_lasting_chip() {
        let memory = NpuMemory {
            used_bytes: 5,
            total_bytes: 9,
        };
        let chip = NpuChip {
            npu_id: 3,
            name: "910B4".into(),
            health: NpuHealth::Alarm,
            power_w: Some(90.0),
            ai_core_percent: Some(7.0),
            hbm: Some(memory),
            processes: vec![NpuProcess {
                pid: 1,
                name: "python".into(),
                memory_bytes: Some(1),
            }],
            ..NpuChip::default()
        };
        let expected = NpuChip {
            npu_id: 3,
            name: "910B4".into(),
            health: NpuHealth::Alarm,
            hbm: Some(NpuMemory {
                used_bytes: 0,
                total_bytes: 9,
            }),
            ..NpuChip::default()
        };
        assert_eq!(chip.lasting(), expected);
    }

    #[test]
    fn what_is_no_chip_key_is_refused() {
        for text in [
            "",
            "-",
            "5-",
            "-1",
            "+5",
            "5-+1",
            "5-1-2",
            " 5",
            "5.0",
            "4294967296",
            "a",
        ] {
            assert_eq!(text.parse::<NpuChipKey>(), Err(NotAChipKey), "{text:?}");
        }
        assert!(serde_json::from_str::<NpuChipKey>("\"x\"").is_err());
    }

    #[test]
    fn a_model_takes_in_its_variants_and_no_other_model() {
        for (model, name, is) in [
            ("310", "310", true),
            ("310", "310P3", false),
            ("310", "310B4", false),
            ("310P", "310P3", true),
            ("310P", "310Pvir01", true),
            ("310P3", "310P3", true),
            ("310P3", "310P1", false),
            ("910", "910A", true),
            ("910", "910B4", false),
            ("910", "910C", false),
            ("910B", "910B4", true),
            ("910B", "910B2C", true),
            ("910B2", "910B2C", false),
            ("91", "910A", false),
            ("310P", "", false),
        ] {
            let chip = NpuChip {
                name: name.to_owned(),
                ..NpuChip::default()
            };
            assert_eq!(chip.is_model(model), is, "{name} as {model}");
        }
    }

    #[test]
    fn a_virtual_chip_names_its_template() {
        let chip = |name: &str| NpuChip {
            name: name.into(),
            npu_percent: Some(3.0),
            memory: Some(NpuMemory {
                used_bytes: 1,
                total_bytes: 2,
            }),
            ..NpuChip::default()
        };
        assert_eq!(chip("310Pvir01").vnpu_template(), Some("vir01"));
        assert_eq!(chip("310Pvir04_3c").vnpu_template(), Some("vir04_3c"));
        for whole in ["310P3", "", "virtual", "vir", "环境vir"] {
            assert_eq!(chip(whole).vnpu_template(), None, "{whole:?}");
        }
        assert_eq!(chip("310P3").load_percent(), Some(3.0));
        assert_eq!(chip("310P3").main_memory().map(|memory| memory.total_bytes), Some(2));
    }
}
