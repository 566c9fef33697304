//! The details, each from its page: `npu-smi info -t …`, `info -l`, and the answer to `set`.

use super::ParseError;
use super::info::health;
use super::page::{Page, Section, parse_page};
use super::value::{self, MIB};
use edgedeck_model::npu::{
    NpuAnswer, NpuBoard, NpuCard, NpuCertificate, NpuDiagnosis, NpuEcc, NpuEccCounts, NpuFault, NpuFlash, NpuHealth,
    NpuReading, NpuSensor,
};

/// Reads the measurements of any of `info -t common`, `usages`, `memory`, `power`, `temp` and `sensors`: one per
/// section that has some, chips and controllers alike.
///
/// # Errors
/// [`ParseError::TooLarge`]; [`ParseError::Unparsable`] when no measurement is on the page.
pub fn parse_readings(text: &str) -> Result<Vec<NpuReading>, ParseError> {
    let page = parse_page(text)?;
    found(
        text,
        page.by_card()
            .filter_map(|(npu_id, section)| reading(npu_id, section))
            .collect(),
    )
}

fn reading(npu_id: Option<u32>, section: &Section) -> Option<NpuReading> {
    let mut reading = NpuReading {
        npu_id,
        chip_id: section.chip_id(),
        controller: section.is_controller(),
        ..NpuReading::default()
    };
    let mut known = false;
    for (key, name, value) in section.fields() {
        let percent = || value::percent(value);
        let mhz = || value::positive(value);
        let fitted = || value::bytes(value, MIB).filter(|bytes| *bytes > 0);
        match key {
            "ddrcapacity(mb)" => reading.ddr_bytes = fitted(),
            "ddrusagerate(%)" | "memoryusagerate(%)" => reading.ddr_percent = percent(),
            "ddrbandwidthusagerate(%)" => reading.ddr_bandwidth_percent = percent(),
            "ddrclockspeed(mhz)" => reading.ddr_mhz = mhz(),
            "ddrhugepagestotal(page)" => reading.hugepages_total = value::count(value),
            "ddrhugepagesusagerate(%)" => reading.hugepages_percent = percent(),
            "hbmcapacity(mb)" => reading.hbm_bytes = fitted(),
            "hbmusagerate(%)" => reading.hbm_percent = percent(),
            "hbmbandwidthusagerate(%)" => reading.hbm_bandwidth_percent = percent(),
            "hbmclockspeed(mhz)" => reading.hbm_mhz = mhz(),
            "hbmtemperature(c)" => reading.hbm_temperature_c = value::decimal(value),
            "aicoreusagerate(%)" => reading.ai_core_percent = percent(),
            "aivectorusagerate(%)" => reading.ai_vector_percent = percent(),
            "aicubeusagerate(%)" => reading.ai_cube_percent = percent(),
            "aicpuusagerate(%)" => reading.ai_cpu_percent = percent(),
            "ctrlcpuusagerate(%)" => reading.control_cpu_percent = percent(),
            "npuutilization(%)" => reading.npu_percent = percent(),
            "aicorefreq(mhz)" => reading.ai_core_mhz = mhz(),
            "aicorecurfreq(mhz)" => reading.ai_core_current_mhz = mhz(),
            "aicorecount" => reading.ai_core_count = value::small(value),
            "temperature(c)" | "nputemperature(c)" => reading.temperature_c = value::decimal(value),
            "npureal-timepower(w)" => reading.power_w = value::positive(value),
            _ if key.ends_with("(c)") => {
                let name = name.rsplit_once('(').map_or(name, |(name, _unit)| name);
                let name = value::text(name).unwrap_or_default();
                reading.sensors.push(NpuSensor {
                    name,
                    temperature_c: value::decimal(value),
                });
            }
            _ => continue,
        }
        known = true;
    }
    known.then_some(reading)
}

/// Reads `info -t ecc`: one per chip.
///
/// # Errors
/// [`ParseError::TooLarge`]; [`ParseError::Unparsable`] when no error count is on the page.
pub fn parse_ecc(text: &str) -> Result<Vec<NpuEcc>, ParseError> {
    let page = parse_page(text)?;
    let ecc = |(npu_id, section): (Option<u32>, &Section)| {
        let ecc = NpuEcc {
            npu_id,
            chip_id: section.chip_id(),
            ddr: ecc_counts(section, "DDR"),
            hbm: ecc_counts(section, "HBM"),
        };
        let none = NpuEccCounts::default();
        (ecc.ddr != none || ecc.hbm != none).then_some(ecc)
    };
    found(text, page.by_card().filter_map(ecc).collect())
}

fn ecc_counts(section: &Section, memory: &str) -> NpuEccCounts {
    let count = |what: &str| value::count(section.value(&format!("{memory} {what}"))?);
    NpuEccCounts {
        single_bit: count("Single Bit Error Count"),
        double_bit: count("Double Bit Error Count"),
        single_bit_total: count("Single Bit Aggregate Total Err Cnt"),
        double_bit_total: count("Double Bit Aggregate Total Err Cnt"),
        single_bit_isolated_pages: count("Single Bit Isolated Pages Count"),
        double_bit_isolated_pages: count("Double Bit Isolated Pages Count"),
        single_bit_next_isolated_pages: count("Single Bit Next-Isolated Pages Count"),
        double_bit_next_isolated_pages: count("Double Bit Next-Isolated Pages Count"),
    }
}

/// Reads `info -t board`, of a card or of one chip.
///
/// # Errors
/// [`ParseError::TooLarge`]; [`ParseError::Unparsable`] when the page says nothing of a board.
pub fn parse_board(text: &str) -> Result<NpuBoard, ParseError> {
    let page = parse_page(text)?;
    let value = |name: &str| value::text(page.value(name)?);
    let small = |name: &str| value::small(page.value(name)?);
    let board = NpuBoard {
        npu_id: page.sections.iter().find_map(Section::npu_id),
        chip_id: page.sections.iter().find_map(Section::chip_id),
        product_name: value("Product Name"),
        model: value("Model"),
        manufacturer: value("Manufacturer"),
        serial_number: value("Serial Number"),
        software_version: value("Software Version"),
        firmware_version: value("Firmware Version"),
        compatibility: value("Compatibility"),
        board_id: value("Board ID"),
        pcb_id: value("PCB ID"),
        bom_id: value("BOM ID"),
        bus_id: value("PCIe Bus Info"),
        pci_vendor_id: value("PCI Vendor ID"),
        pci_device_id: value("PCI Device ID"),
        slot_id: small("Slot ID"),
        chip_count: small("Chip Count"),
        chip_name: value("Chip Name"),
        chip_version: value("Chip Version"),
        die_id: value("VDie ID").or_else(|| value("DDie ID")),
    };
    let bare = NpuBoard {
        npu_id: board.npu_id,
        chip_id: board.chip_id,
        chip_count: board.chip_count,
        ..NpuBoard::default()
    };
    if board == bare {
        Err(value::nothing_found(text, None))
    } else {
        Ok(board)
    }
}

/// Reads `info -l`: the cards.
///
/// # Errors
/// [`ParseError::TooLarge`]; [`ParseError::Unparsable`] when the page neither lists a card nor says that there are 0.
pub fn parse_cards(text: &str) -> Result<Vec<NpuCard>, ParseError> {
    let page = parse_page(text)?;
    let card = |section: &Section| {
        Some(NpuCard {
            npu_id: section.npu_id()?,
            product_name: section.text("Product Name"),
            serial_number: section.text("Serial Number"),
            chip_count: section.small("Chip Count"),
        })
    };
    let cards: Vec<NpuCard> = page.sections.iter().filter_map(card).collect();
    if page.value("Total Count") == Some("0") {
        Ok(cards)
    } else {
        found(text, cards)
    }
}

/// Reads `info -t health`.
///
/// # Errors
/// [`ParseError::TooLarge`]; [`ParseError::Unparsable`] when no health is on the page.
pub fn parse_diagnosis(text: &str) -> Result<NpuDiagnosis, ParseError> {
    let page = parse_page(text)?;
    let word = page.value("Health Status").or_else(|| page.value("Health"));
    let codes = page.value("Error Code").unwrap_or_default();
    let diagnosis = NpuDiagnosis {
        npu_id: page.sections.iter().find_map(Section::npu_id),
        health: word.map_or(NpuHealth::Unknown, health),
        error_codes: codes.split([',', ';', ' ']).filter_map(value::code).collect(),
        information: page.value("Error Information").and_then(value::text),
    };
    if word.is_none() {
        Err(value::nothing_found(text, None))
    } else {
        Ok(diagnosis)
    }
}

/// Reads `info -t current-fault-event`: the faults that hold now.
///
/// # Errors
/// [`ParseError::TooLarge`]; [`ParseError::Unparsable`] when the page neither lists a fault nor says that there are 0.
pub fn parse_faults(text: &str) -> Result<Vec<NpuFault>, ParseError> {
    let page = parse_page(text)?;
    let faults: Vec<NpuFault> = page
        .sections
        .iter()
        .flat_map(Section::fields)
        .filter(|(key, ..)| *key == "faulteventinformation")
        .filter_map(|(.., value)| fault(value))
        .collect();
    if page.value("Fault Event Count") == Some("0") {
        Ok(faults)
    } else {
        found(text, faults)
    }
}

fn fault(information: &str) -> Option<NpuFault> {
    let part = |name: &str| {
        let parts = information.split(',').filter_map(|part| part.split_once('='));
        parts
            .into_iter()
            .find(|(key, _)| key.trim() == name)
            .map(|(_, value)| value)
    };
    Some(NpuFault {
        event_id: value::code(part("event id")?)?,
        severity: part("severity").and_then(value::small),
        information: value::text(information)?,
    })
}

/// Reads `info -t flash`: the card's flash chips.
///
/// # Errors
/// [`ParseError::TooLarge`]; [`ParseError::Unparsable`] when none is on the page.
pub fn parse_flash(text: &str) -> Result<Vec<NpuFlash>, ParseError> {
    let flash = |section: &Section| {
        Some(NpuFlash {
            flash_id: section.text("Flash ID")?,
            manufacturer_id: section.text("Manufacturer ID"),
            capacity_bytes: section.value("Capacity(MB)").and_then(|size| value::bytes(size, MIB)),
        })
    };
    found(text, parse_page(text)?.sections.iter().filter_map(flash).collect())
}

/// Reads `info -t tls-cert`.
///
/// # Errors
/// [`ParseError::TooLarge`]; [`ParseError::Unparsable`] when nothing of a certificate is on the page.
pub fn parse_certificate(text: &str) -> Result<NpuCertificate, ParseError> {
    let page = parse_page(text)?;
    let value = |name: &str| value::text(page.value(name)?);
    let certificate = NpuCertificate {
        expiry_alarm: page
            .value("Alarm status")
            .and_then(value::count)
            .map(|status| status != 0),
        start: value("Start time"),
        end: value("End time"),
        common_name: value("Common name"),
    };
    if certificate == NpuCertificate::default() {
        Err(value::nothing_found(text, None))
    } else {
        Ok(certificate)
    }
}

/// Reads the answer to a `set` command: `Status : OK  Message : …`, on one line or on two.
///
/// # Errors
/// [`ParseError::TooLarge`]; [`ParseError::Unparsable`] when no status is in it. What was asked for may still have
/// been done: look again instead of asking again.
pub fn parse_answer(text: &str) -> Result<NpuAnswer, ParseError> {
    let page: Page = parse_page(text)?;
    let status = page.value("Status").ok_or_else(|| value::nothing_found(text, None))?;
    let (word, message) = match status.split_once("Message") {
        Some((word, message)) => (word, Some(message.trim_start().trim_start_matches(':'))),
        None => (status, page.value("Message")),
    };
    Ok(NpuAnswer {
        ok: word.trim().eq_ignore_ascii_case("ok"),
        message: message.and_then(value::text),
    })
}

fn found<T>(text: &str, found: Vec<T>) -> Result<Vec<T>, ParseError> {
    if found.is_empty() {
        Err(value::nothing_found(text, None))
    } else {
        Ok(found)
    }
}
