//! The overview, `npu-smi info`: a table with two rows a chip, and a table of processes.
//!
//! Four shapes of the first table are known. 310, 310P and 310B number the chip and its device and have one memory;
//! 910A and 910B number the chip and have DDR and HBM; 910C has two dies a card and their physical ids; 950 numbers
//! cards only and prints the use of the whole NPU. The header of two rows says which: it is read as the list of columns
//! of every cell, and the rows below are read by it.

use super::ParseError;
use super::value::{self, Line, MIB};
use edgedeck_model::npu::{
    CHIP_ID_MAX, NPU_ID_MAX, NpuChip, NpuChipKey, NpuHealth, NpuMemory, NpuPages, NpuProcess, NpuReport,
};
use std::collections::BTreeMap;

/// What stands in a place of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Npu,
    Name,
    Health,
    Power,
    Temperature,
    Hugepages,
    Chip,
    Device,
    PhyId,
    BusId,
    AiCore,
    NpuUse,
    Memory,
    Hbm,
    /// One value of a kind we do not know.
    Unknown,
}

/// The columns of each cell of a row.
type Shape = Vec<Vec<Column>>;

/// Where in the output we are.
enum Place {
    /// Before any header, or after a header that was not followed as expected.
    Outside,
    /// After the first row of the chips' header.
    Header(Shape),
    Chips(Chips),
    /// In the table of processes; whether it has a column with the chip.
    Processes {
        chip_column: bool,
    },
}

struct Chips {
    first: Shape,
    second: Shape,
    next: Next,
}

/// The row of a chip that is due.
enum Next {
    First,
    Second(Box<NpuChip>),
    /// A row could not be read: the rest of the chip is passed over.
    Border,
}

/// Reads the overview.
///
/// Chips whose rows are not all there are left out and counted in [`NpuReport::unread_lines`].
///
/// # Errors
/// [`ParseError::TooLarge`]; [`ParseError::Unparsable`] when there is no table of chips, or when not one of its chips
/// could be read.
pub fn parse_info(text: &str) -> Result<NpuReport, ParseError> {
    let mut reader = Reader::default();
    for line in value::lines(text)? {
        reader.line(line);
    }
    reader.finish(text)
}

#[derive(Default)]
struct Reader<'a> {
    report: NpuReport,
    /// Where in the report each chip is.
    places: BTreeMap<NpuChipKey, usize>,
    processes: Vec<(NpuChipKey, NpuProcess)>,
    place: Option<Place>,
    /// A table has begun; what is printed before it (warnings, a prompt) is none of its lines.
    begun: bool,
    chips_header_seen: bool,
    first_unread: Option<Line<'a>>,
}

impl<'a> Reader<'a> {
    fn line(&mut self, line: Line<'a>) {
        let row = line.text.trim();
        if row.starts_with('+') {
            self.begun = true;
            self.border();
            return;
        }
        let read = match row.strip_prefix('|').and_then(|row| row.strip_suffix('|')) {
            Some(row) => self.row(&row.split('|').collect::<Vec<_>>()),
            None => {
                // Lines are missing here, so the next row need not belong to the one before.
                self.break_chip();
                false
            }
        };
        if !read {
            self.unread(line);
        }
    }

    fn unread(&mut self, line: Line<'a>) {
        self.first_unread.get_or_insert(line);
        if self.begun {
            self.report.unread_lines = self.report.unread_lines.saturating_add(1);
        }
    }

    fn border(&mut self) {
        self.break_chip();
        if let Some(Place::Chips(chips)) = &mut self.place {
            chips.next = Next::First;
        }
    }

    /// Gives up a chip of which only the first row was seen.
    fn break_chip(&mut self) {
        if let Some(Place::Chips(chips)) = &mut self.place
            && matches!(std::mem::replace(&mut chips.next, Next::Border), Next::Second(_))
        {
            self.report.unread_lines = self.report.unread_lines.saturating_add(1);
        }
    }

    /// Takes a whole row; `false` if it is not understood.
    fn row(&mut self, cells: &[&str]) -> bool {
        if let [cell] = cells {
            return self.sentence(cell.trim());
        }
        if let Some(chip_column) = processes_header(cells) {
            self.place = Some(Place::Processes { chip_column });
            return true;
        }
        let shape: Shape = cells.iter().map(|cell| columns(cell)).collect();
        let has = |column| shape.iter().flatten().any(|found| *found == column);
        if has(Column::Npu) && has(Column::Name) && has(Column::Health) {
            self.place = Some(Place::Header(shape));
            return true;
        }
        match self.place.take().unwrap_or(Place::Outside) {
            Place::Outside => false,
            Place::Header(first) => {
                let second = has(Column::BusId) && shape.len() == first.len();
                if second {
                    self.chips_header_seen = true;
                    self.place = Some(Place::Chips(Chips {
                        first,
                        second: shape,
                        next: Next::Border,
                    }));
                }
                second
            }
            Place::Chips(mut chips) => {
                let read = self.chip_row(&mut chips, cells);
                self.place = Some(Place::Chips(chips));
                read
            }
            Place::Processes { chip_column } => {
                self.place = Some(Place::Processes { chip_column });
                process(cells, chip_column)
                    .map(|process| self.processes.push(process))
                    .is_some()
            }
        }
    }

    fn chip_row(&mut self, chips: &mut Chips, cells: &[&str]) -> bool {
        match std::mem::replace(&mut chips.next, Next::Border) {
            Next::Border => false,
            Next::First => {
                let mut chip = Box::<NpuChip>::default();
                let read = fill(&mut chip, &chips.first, cells);
                if read {
                    chips.next = Next::Second(chip);
                }
                read
            }
            Next::Second(mut chip) => {
                let read = fill(&mut chip, &chips.second, cells) && !self.places.contains_key(&chip.key());
                if read {
                    self.places.insert(chip.key(), self.report.chips.len());
                    self.report.chips.push(*chip);
                    chips.next = Next::First;
                } else {
                    // Its first row is lost with it.
                    self.report.unread_lines = self.report.unread_lines.saturating_add(1);
                }
                read
            }
        }
    }

    /// Takes a row of one cell.
    fn sentence(&mut self, cell: &str) -> bool {
        if let Some(versions) = cell.strip_prefix("npu-smi") {
            let (tool, driver) = versions.split_once("Version:").unwrap_or((versions, ""));
            self.report.tool_version = value::text(tool);
            self.report.driver_version = value::text(driver);
            return true;
        }
        cell.starts_with("No running processes found")
    }

    fn finish(mut self, text: &str) -> Result<NpuReport, ParseError> {
        self.break_chip();
        if !self.chips_header_seen || (self.report.chips.is_empty() && self.report.unread_lines > 0) {
            return Err(value::nothing_found(text, self.first_unread));
        }
        for (key, process) in self.processes {
            match self
                .places
                .get(&key)
                .and_then(|place| self.report.chips.get_mut(*place))
            {
                Some(chip) => chip.processes.push(process),
                // The chip's own rows were not read.
                None => self.report.unread_lines = self.report.unread_lines.saturating_add(1),
            }
        }
        Ok(self.report)
    }
}

/// The columns that a header's cell names.
fn columns(cell: &str) -> Vec<Column> {
    let mut columns = Vec::new();
    let mut words = cell.split_whitespace().peekable();
    while let Some(word) = words.next() {
        columns.push(match word {
            "NPU" if words.next_if_eq(&"Util(%)").is_some() => Column::NpuUse,
            "NPU" => {
                words.next_if_eq(&"ID");
                Column::Npu
            }
            "Name" => Column::Name,
            "Health" => Column::Health,
            "Power(W)" => Column::Power,
            "Temp(C)" => Column::Temperature,
            "Hugepages-Usage(page)" => Column::Hugepages,
            "Chip" => Column::Chip,
            "Device" => Column::Device,
            "Phy-ID" => Column::PhyId,
            "Bus-Id" => Column::BusId,
            "AICore(%)" => Column::AiCore,
            "Memory-Usage(MB)" => Column::Memory,
            "HBM-Usage(MB)" => Column::Hbm,
            _ => Column::Unknown,
        });
    }
    columns
}

/// Puts a row's values into the chip; `false` if the row does not have the shape of its header or lacks an id.
fn fill(chip: &mut NpuChip, shape: &Shape, cells: &[&str]) -> bool {
    shape.len() == cells.len()
        && shape
            .iter()
            .zip(cells)
            .all(|(columns, cell)| fill_cell(chip, columns, cell).is_some())
}

/// `None` unless there is exactly a value for every column: with one missing, the others would get a wrong name.
fn fill_cell(chip: &mut NpuChip, columns: &[Column], cell: &str) -> Option<()> {
    // The slash of a use is printed with and without space around it.
    let has_use = columns
        .iter()
        .any(|column| matches!(column, Column::Hugepages | Column::Memory | Column::Hbm));
    let cell = if has_use {
        cell.replace("N/A", "NA").replace('/', " / ")
    } else {
        cell.to_owned()
    };
    let mut words = cell.split_whitespace().peekable();
    for column in columns {
        match column {
            // These come last in their cell and may have no word, or several.
            Column::Name => chip.name = value::text(&words.by_ref().collect::<Vec<_>>().join(" "))?,
            Column::Health => chip.health = health(words.next().unwrap_or_default()),
            Column::BusId => chip.bus_id = words.next().and_then(value::text),
            Column::Npu => chip.npu_id = value::id(words.next()?, NPU_ID_MAX)?,
            Column::Chip => chip.chip_id = Some(value::id(words.next()?, CHIP_ID_MAX)?),
            Column::Device => chip.device_id = id_or_absent(words.next()?)?,
            Column::PhyId => chip.phy_id = id_or_absent(words.next()?)?,
            Column::Power => chip.power_w = value::positive(words.next()?),
            Column::Temperature => chip.temperature_c = value::decimal(words.next()?),
            Column::AiCore => chip.ai_core_percent = value::percent(words.next()?),
            Column::NpuUse => chip.npu_percent = value::percent(words.next()?),
            Column::Unknown => _ = words.next()?,
            Column::Hugepages => {
                chip.hugepages = used_of_total(&mut words)?.map(|(used, total)| NpuPages { used, total });
            }
            Column::Memory => chip.memory = used_of_total(&mut words)?.and_then(memory),
            Column::Hbm => chip.hbm = used_of_total(&mut words)?.and_then(memory),
        }
    }
    words.next().is_none().then_some(())
}

/// An id that may be printed as absent; the outer `None` for anything else.
fn id_or_absent(word: &str) -> Option<Option<u32>> {
    match value::present(word) {
        None => Some(None),
        Some(word) => value::small(word).map(Some),
    }
}

/// `used / total`, or one word for an absent value; the outer `None` for anything else.
fn used_of_total<'a>(words: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>) -> Option<Option<(u64, u64)>> {
    let used = words.next()?;
    if words.next_if_eq(&"/").is_none() {
        return value::present(used).is_none().then_some(None);
    }
    let total = words.next()?;
    Some(value::count(used).zip(value::count(total)))
}

/// `0 / 0` is how a memory that is not fitted is printed.
fn memory((used, total): (u64, u64)) -> Option<NpuMemory> {
    let (used_bytes, total_bytes) = (used.checked_mul(MIB)?, total.checked_mul(MIB)?);
    (total_bytes > 0).then_some(NpuMemory {
        used_bytes,
        total_bytes,
    })
}

/// The tool's word for a health.
pub fn health(word: &str) -> NpuHealth {
    let words = [
        ("OK", NpuHealth::Ok),
        ("Warning", NpuHealth::Warning),
        ("Alarm", NpuHealth::Alarm),
        ("Critical", NpuHealth::Critical),
    ];
    let found = words.iter().find(|(known, _)| known.eq_ignore_ascii_case(word.trim()));
    found.map_or(NpuHealth::Unknown, |(_, health)| *health)
}

/// Whether the header is that of the processes and, if so, whether it has a column with the chip.
fn processes_header(cells: &[&str]) -> Option<bool> {
    let [place, pid, _name, _memory] = cells else {
        return None;
    };
    let place: Vec<&str> = place.split_whitespace().collect();
    (place.first() == Some(&"NPU") && pid.trim() == "Process id").then(|| place.contains(&"Chip"))
}

fn process(cells: &[&str], chip_column: bool) -> Option<(NpuChipKey, NpuProcess)> {
    let [place, pid, name, memory] = cells else { return None };
    let mut place = place.split_whitespace();
    let npu_id = value::id(place.next()?, NPU_ID_MAX)?;
    let chip_id = if chip_column {
        Some(value::id(place.next()?, CHIP_ID_MAX)?)
    } else {
        None
    };
    let process = NpuProcess {
        pid: value::small(pid)?,
        name: value::text(name).unwrap_or_default(),
        memory_bytes: value::bytes(memory, MIB),
    };
    place
        .next()
        .is_none()
        .then_some((NpuChipKey { npu_id, chip_id }, process))
}
