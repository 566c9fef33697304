//! The tables other than the overview: chips, processes of a chip, virtual NPUs and their templates, and `info watch`.

use super::ParseError;
use super::value::{self, GIB, Line, MIB};
use edgedeck_model::npu::{CHIP_ID_MAX, NPU_ID_MAX, NpuMapping, NpuProcess, NpuReading, Vnpu, VnpuTemplate};

/// Reads `info -m`: all chips, and the cards' management controllers.
///
/// # Errors
/// [`ParseError::TooLarge`]; [`ParseError::Unparsable`] when no chip is listed.
pub fn parse_mappings(text: &str) -> Result<Vec<NpuMapping>, ParseError> {
    let mut header: Vec<&str> = Vec::new();
    rows(text, |line| {
        // Names of columns have spaces in them, so two spaces or a tab part the columns.
        let names = line.split("  ").flat_map(|part| part.split('\t')).map(str::trim);
        let names: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
        if names.first() == Some(&"NPU ID") {
            header = names;
            return Row::Header;
        }
        mapping(&header, line).map_or(Row::Unread, Row::Read)
    })
}

fn mapping(header: &[&str], line: &str) -> Option<NpuMapping> {
    let (mut npu_id, mut chip_id, mut logic_id, mut phy_id, mut name) = (None, None, None, None, None);
    let mut words = line.split_whitespace();
    for column in header {
        match *column {
            // The last column; a name may be of several words.
            "Chip Name" => name = value::text(&words.by_ref().collect::<Vec<_>>().join(" ")),
            "NPU ID" => npu_id = value::id(words.next()?, NPU_ID_MAX),
            "Chip ID" => chip_id = value::id(words.next()?, CHIP_ID_MAX),
            "Chip Logic ID" => logic_id = value::small(words.next()?),
            "Chip Phy-ID" | "Chip Phy ID" => phy_id = value::small(words.next()?),
            _ => _ = words.next()?,
        }
    }
    Some(NpuMapping {
        npu_id: npu_id?,
        chip_id,
        logic_id,
        phy_id,
        name: name?,
    })
}

/// Reads `info -t proc-mem`: the processes of a chip. An empty output is none.
///
/// # Errors
/// [`ParseError::TooLarge`]; [`ParseError::Unparsable`] when there is output of another kind only.
pub fn parse_processes(text: &str) -> Result<Vec<NpuProcess>, ParseError> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let mut card_named = false;
    let processes = rows(text, |line| {
        let line = line.trim();
        card_named |= line.starts_with("NPU ID");
        process(line).map_or(Row::Unread, Row::Read)
    });
    match processes {
        Err(ParseError::Unparsable { .. }) if card_named => Ok(Vec::new()),
        processes => processes,
    }
}

fn process(line: &str) -> Option<NpuProcess> {
    let (pid, rest) = line.strip_prefix("Process id:")?.split_once("Process name:")?;
    // From the right: a process may have the label as its name.
    let (name, memory) = rest.rsplit_once("Process memory(MB):")?;
    Some(NpuProcess {
        pid: value::small(pid)?,
        name: value::text(name).unwrap_or_default(),
        memory_bytes: value::bytes(memory, MIB),
    })
}

/// Reads `info watch`: one reading per card and line; of a capture over time, the later lines come later.
///
/// # Errors
/// [`ParseError::TooLarge`]; [`ParseError::Unparsable`] when there is no reading.
pub fn parse_watch(text: &str) -> Result<Vec<NpuReading>, ParseError> {
    let mut header: Vec<&str> = Vec::new();
    rows(text, |line| {
        if line.trim_start().starts_with("NpuID") {
            // Every name ends in a unit; between some of them there is one space only.
            header = line
                .split_inclusive(')')
                .map(str::trim)
                .filter(|name| !name.is_empty())
                .collect();
            return Row::Header;
        }
        watched(&header, line).map_or(Row::Unread, Row::Read)
    })
}

fn watched(header: &[&str], line: &str) -> Option<NpuReading> {
    let mut reading = NpuReading::default();
    let mut words = line.split_whitespace();
    for column in header {
        let word = words.next()?;
        match *column {
            "NpuID(Idx)" => reading.npu_id = Some(value::id(word, NPU_ID_MAX)?),
            "ChipID(Idx)" | "ChipId(Idx)" => reading.chip_id = value::id(word, CHIP_ID_MAX),
            "Pwr(W)" => reading.power_w = value::positive(word),
            "Temp(C)" => reading.temperature_c = value::decimal(word),
            "AI Core(%)" => reading.ai_core_percent = value::percent(word),
            "AI Cpu(%)" => reading.ai_cpu_percent = value::percent(word),
            "Ctrl Cpu(%)" => reading.control_cpu_percent = value::percent(word),
            "NPU Util(%)" => reading.npu_percent = value::percent(word),
            "AI Cube(%)" => reading.ai_cube_percent = value::percent(word),
            // `Memory(%)` and `Memory BW(%)` do not say which memory; the pages of a chip do.
            _ => {}
        }
    }
    (words.next().is_none() && reading.npu_id.is_some()).then_some(reading)
}

/// Reads `info -t info-vnpu`: the virtual NPUs of a chip.
///
/// # Errors
/// [`ParseError::TooLarge`]; [`ParseError::Unparsable`] when the output neither lists one nor says that there are 0.
pub fn parse_vnpus(text: &str) -> Result<Vec<Vnpu>, ParseError> {
    let mut total = None;
    let vnpus = rows(text, |line| {
        let Some(cells) = cells(line) else { return Row::Unread };
        if let [sentence] = cells.as_slice() {
            total = sentence
                .strip_prefix("Total number of vnpu:")
                .and_then(value::count)
                .or(total);
        }
        vnpu(&cells).map_or(Row::Unread, Row::Read)
    });
    match vnpus {
        Err(ParseError::Unparsable { .. }) if total == Some(0) => Ok(Vec::new()),
        vnpus => vnpus,
    }
}

fn vnpu(cells: &[&str]) -> Option<Vnpu> {
    let [vnpu_id, vgroup_id, container_id, status, template] = cells else {
        return None;
    };
    Some(Vnpu {
        vnpu_id: value::small(vnpu_id)?,
        vgroup_id: value::small(vgroup_id),
        // All ones: no container has it.
        container_id: value::text(container_id).filter(|id| id.bytes().any(|b| !b.eq_ignore_ascii_case(&b'f'))),
        status: value::small(status),
        template: value::text(template),
    })
}

/// Reads `info -t template-info`: the ways to cut a chip.
///
/// # Errors
/// [`ParseError::TooLarge`]; [`ParseError::Unparsable`] when there is no template.
pub fn parse_templates(text: &str) -> Result<Vec<VnpuTemplate>, ParseError> {
    // The header and every template are of two rows; the second has the columns that did not fit the first.
    let (mut first, mut second): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    let mut begun: Option<VnpuTemplate> = None;
    rows(text, |line| {
        let Some(mut words) = cells(line).and_then(|cells| match cells.as_slice() {
            [cell] => Some(cell.split_whitespace().collect::<Vec<_>>()),
            _ => None,
        }) else {
            // A border, or half a row: what comes next begins anew.
            begun = None;
            return Row::Unread;
        };
        match words.first() {
            Some(&"Name") => {
                first = words;
                return Row::Header;
            }
            // The unit of the memory, under its name.
            Some(&"GB") => {
                second = words.split_off(1);
                return Row::Header;
            }
            _ => {}
        }
        match begun.take() {
            None if words.len() == first.len() => {
                let mut template = empty_template();
                first
                    .iter()
                    .zip(&words)
                    .for_each(|(column, word)| put(&mut template, column, word));
                begun = Some(template).filter(|template| !template.name.is_empty());
                Row::Header
            }
            Some(mut template) if words.len() == second.len() => {
                second
                    .iter()
                    .zip(&words)
                    .for_each(|(column, word)| put(&mut template, column, word));
                Row::Read(template)
            }
            _ => Row::Unread,
        }
    })
}

fn empty_template() -> VnpuTemplate {
    VnpuTemplate {
        name: String::new(),
        ai_cores: None,
        memory_bytes: None,
        ai_cpus: None,
        vpc: None,
        venc: None,
        vdec: None,
        jpegd: None,
        jpege: None,
        pngd: None,
    }
}

fn put(template: &mut VnpuTemplate, column: &str, word: &str) {
    let number = value::small(word);
    match column {
        "Name" => template.name = value::text(word).unwrap_or_default(),
        "AICORE" => template.ai_cores = number,
        "Memory" => template.memory_bytes = value::bytes(word, GIB),
        "AICPU" => template.ai_cpus = number,
        "VPC" => template.vpc = number,
        "VENC" => template.venc = number,
        "VDEC" => template.vdec = number,
        "JPEGD" => template.jpegd = number,
        "JPEGE" => template.jpege = number,
        "PNGD" => template.pngd = number,
        _ => {}
    }
}

/// What a line of a list is.
enum Row<T> {
    /// An entry, complete with this line.
    Read(T),
    /// Expected, and not an entry.
    Header,
    /// Neither.
    Unread,
}

/// The entries of a list; lines without their line break are not looked at.
fn rows<'a, T>(text: &'a str, mut read: impl FnMut(&'a str) -> Row<T>) -> Result<Vec<T>, ParseError> {
    let mut entries = Vec::new();
    let mut first_unread: Option<Line> = None;
    for line in value::lines(text)? {
        match if line.whole { read(line.text) } else { Row::Unread } {
            Row::Read(entry) => entries.push(entry),
            Row::Header => {}
            Row::Unread => _ = first_unread.get_or_insert(line),
        }
    }
    if entries.is_empty() {
        Err(value::nothing_found(text, first_unread))
    } else {
        Ok(entries)
    }
}

/// The cells of a table's row, `None` unless it has both its bars.
fn cells(line: &str) -> Option<Vec<&str>> {
    let row = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    Some(row.split('|').map(str::trim).collect())
}
