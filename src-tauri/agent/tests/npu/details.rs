//! The other commands: every published page, field by field.

use crate::{GIB, MIB, sample};
use edgedeck_agent::npu::{
    ParseError, parse_answer, parse_board, parse_cards, parse_certificate, parse_diagnosis, parse_ecc, parse_faults,
    parse_flash, parse_mappings, parse_processes, parse_readings, parse_templates, parse_vnpus, parse_watch,
};
use edgedeck_model::app::Spec;
use edgedeck_model::npu::{
    NpuAnswer, NpuBoard, NpuCard, NpuCertificate, NpuDiagnosis, NpuEcc, NpuEccCounts, NpuFault, NpuFlash, NpuHealth,
    NpuMapping, NpuProcess, NpuReading, NpuSensor, Vnpu, VnpuTemplate,
};

use serde_json::json;

/// Compares what is read of a sample with what it says.
type Check = fn(&str);

/// Sample and the check of it.
pub const EXPECTED: &[(&str, Check)] = &[
    ("info-l-950", cards_950),
    ("info-m-310-atlas800-3000-v20.2.0", mappings_310),
    ("info-m-310-mcu-atlas800-3000-v21.0.4", mappings_310_with_controller),
    ("info-m-910A-x8", mappings_910a),
    ("info-t-board-910A-v23.0.5", board_910a),
    ("info-t-board-910B-v25.5.1", board_910b),
    ("info-t-board-950", board_950),
    ("info-t-board-c0-910A-v23.0.5", board_910a_chip),
    ("info-t-common-910A", common_910a),
    ("info-t-common-950", common_950),
    ("info-t-common-dualchip-mcu-300I-Duo", common_duo),
    ("info-t-common-mcu-310P", common_310p),
    ("info-t-current-fault-event-950", faults_950),
    ("info-t-ecc-910A", ecc_910a),
    ("info-t-ecc-950", ecc_950),
    ("info-t-flash-950", flash_950),
    ("info-t-health-950", health_950),
    ("info-t-health-alarm-310B4-v23.0.0", health_310b4),
    ("info-t-health-ok-910A", health_910a),
    ("info-t-info-vnpu-310P-tail", vnpus_310p),
    ("info-t-memory-910B3-v25.5.1", memory_910b3),
    ("info-t-memory-950", memory_950),
    ("info-t-power-910B-v25.5.1", power_910b),
    ("info-t-power-950", power_950),
    ("info-t-proc-mem-910B3-v25.5.1", processes_910b3),
    ("info-t-proc-mem-950", processes_950),
    ("info-t-sensors-950", sensors_950),
    ("info-t-temp-910B-mcu-v25.5.1", temperatures_910b),
    ("info-t-temp-950", temperatures_950),
    ("info-t-template-info-310P3", templates_310p3),
    ("info-t-tls-cert-950", certificate_950),
    ("info-t-usages-910A-v23.0.5", usages_910a),
    ("info-t-usages-910B-v25.5.1", usages_910b),
    ("info-t-usages-950", usages_950),
    ("info-watch-950", watch_950),
    ("set-create-vnpu-ok", created),
];

#[test]
fn every_published_page_is_read() {
    for (name, check) in EXPECTED {
        println!("{name}");
        check(&sample(name));
    }
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn cards_950(page: &str) {
    let card = NpuCard {
        npu_id: 0,
        product_name: text("A5 PCIe Card"),
        serial_number: text("IT23HMDA0502FAA"),
        chip_count: None,
    };
    assert_eq!(parse_cards(page), Ok(vec![card]));
}

fn mapping(npu_id: u32, chip_id: u32, logic_id: Option<u32>, name: &str) -> NpuMapping {
    NpuMapping {
        npu_id,
        chip_id: Some(chip_id),
        logic_id,
        phy_id: None,
        name: name.to_owned(),
    }
}

fn mappings_310(page: &str) {
    let expected: Vec<_> = (0..4).map(|chip| mapping(215, chip, Some(chip), "MiniD")).collect();
    assert_eq!(parse_mappings(page), Ok(expected));
}

fn mappings_310_with_controller(page: &str) {
    let mut expected: Vec<_> = (0..4).map(|chip| mapping(6, chip, Some(chip), "MiniD")).collect();
    expected.push(mapping(6, 4, None, "Mcu"));
    assert_eq!(parse_mappings(page), Ok(expected));
}

fn mappings_910a(page: &str) {
    let expected: Vec<_> = (0..8).map(|npu| mapping(npu, 0, Some(npu), "Ascend 910A")).collect();
    assert_eq!(parse_mappings(page), Ok(expected));
}

fn board_910a(page: &str) {
    let expected = NpuBoard {
        npu_id: Some(0),
        software_version: text("23.0.5"),
        firmware_version: text("7.1.0.7.220"),
        compatibility: text("OK"),
        board_id: text("0x02"),
        pcb_id: text("A"),
        bom_id: text("1"),
        bus_id: text("0000:61:00.0"),
        pci_vendor_id: text("0x19E5"),
        pci_device_id: text("0xD801"),
        slot_id: Some(0),
        chip_count: Some(1),
        ..NpuBoard::default()
    };
    assert_eq!(parse_board(page), Ok(expected));
}

fn board_910b(page: &str) {
    let expected = NpuBoard {
        npu_id: Some(0),
        product_name: text("IT21HMDC_Bin5"),
        manufacturer: text("Huawei"),
        serial_number: text("1025C9048791"),
        software_version: text("25.5.1"),
        firmware_version: text("7.8.0.6.201"),
        compatibility: text("OK"),
        board_id: text("0x60"),
        pcb_id: text("A"),
        bom_id: text("1"),
        bus_id: text("0000:C1:00.0"),
        pci_vendor_id: text("0x19E5"),
        pci_device_id: text("0xD802"),
        slot_id: Some(0),
        chip_count: Some(1),
        ..NpuBoard::default()
    };
    assert_eq!(parse_board(page), Ok(expected));
}

fn board_950(page: &str) {
    let expected = NpuBoard {
        npu_id: Some(0),
        product_name: text("xxx"),
        model: text("xxx"),
        manufacturer: text("xxx"),
        serial_number: text("xxx"),
        software_version: text("xxx"),
        firmware_version: text("xxx"),
        compatibility: text("OK"),
        board_id: text("0x1b"),
        pcb_id: text("A"),
        bom_id: text("1"),
        bus_id: text("0000:F1:00.0"),
        pci_vendor_id: text("0x19E5"),
        pci_device_id: text("0xD806"),
        slot_id: Some(0),
        chip_count: Some(1),
        chip_name: text("xxx"),
        chip_version: text("xxx"),
        die_id: text("870408E3 2120D518 77936EE6 80B40A0A D4100003"),
        ..NpuBoard::default()
    };
    assert_eq!(parse_board(page), Ok(expected));
}

fn board_910a_chip(page: &str) {
    let expected = NpuBoard {
        npu_id: Some(0),
        chip_id: Some(0),
        firmware_version: text("7.1.0.7.220"),
        board_id: text("0x02"),
        bom_id: text("1"),
        bus_id: text("0000:61:00.0"),
        chip_name: text("910A"),
        chip_version: text("V1"),
        die_id: text("42C711D4 20B03704 4A10C8D4 14CC040A D2102003"),
        ..NpuBoard::default()
    };
    assert_eq!(parse_board(page), Ok(expected));
}

fn common_910a(page: &str) {
    let expected = NpuReading {
        npu_id: Some(0),
        chip_id: Some(0),
        ddr_percent: Some(6.0),
        hbm_percent: Some(0.0),
        ai_core_percent: Some(0.0),
        ai_core_mhz: Some(900.0),
        ai_core_current_mhz: Some(900.0),
        ai_core_count: Some(30),
        temperature_c: Some(41.0),
        power_w: Some(71.7),
        ..NpuReading::default()
    };
    assert_eq!(parse_readings(page), Ok(vec![expected]));
}

fn common_950(page: &str) {
    let expected = NpuReading {
        npu_id: Some(0),
        ddr_percent: Some(0.0),
        hbm_percent: Some(3.0),
        ai_core_percent: Some(0.0),
        ai_core_mhz: Some(1650.0),
        ai_core_current_mhz: Some(100.0),
        ai_core_count: Some(32),
        temperature_c: Some(65.0),
        power_w: Some(298.6),
        ..NpuReading::default()
    };
    assert_eq!(parse_readings(page), Ok(vec![expected]));
}

fn common_duo(page: &str) {
    let chip = |chip_id, ddr, celsius| NpuReading {
        npu_id: Some(2944),
        chip_id: Some(chip_id),
        ddr_percent: Some(ddr),
        ai_core_percent: Some(0.0),
        temperature_c: Some(celsius),
        ..NpuReading::default()
    };
    let controller = NpuReading {
        npu_id: Some(2944),
        controller: true,
        temperature_c: Some(48.0),
        power_w: Some(42.8),
        ..NpuReading::default()
    };
    assert_eq!(
        parse_readings(page),
        Ok(vec![chip(0, 2.0, 45.0), chip(1, 3.0, 47.0), controller])
    );
}

fn common_310p(page: &str) {
    let chip = NpuReading {
        npu_id: Some(1),
        chip_id: Some(0),
        ddr_percent: Some(4.0),
        ai_core_percent: Some(0.0),
        ai_core_mhz: Some(1080.0),
        ai_core_current_mhz: Some(960.0),
        temperature_c: Some(43.0),
        ..NpuReading::default()
    };
    let controller = NpuReading {
        npu_id: Some(1),
        controller: true,
        temperature_c: Some(41.0),
        power_w: Some(13.4),
        ..NpuReading::default()
    };
    assert_eq!(parse_readings(page), Ok(vec![chip, controller]));
}

fn faults_950(page: &str) {
    let expected = NpuFault {
        event_id: 0x81AF_8000,
        severity: Some(2),
        information: "event id=0x81AF8000, severity=2, node type ex=215, node id=0, sub node type ex=0, sub node id=0"
            .into(),
    };
    assert_eq!(parse_faults(page), Ok(vec![expected.clone()]));
    let two = page.replace(": 1\n", ": 2\n").to_owned() + page.lines().last().unwrap() + "\n";
    assert_eq!(parse_faults(&two), Ok(vec![expected.clone(), expected]));
    assert_eq!(parse_faults("Fault Event Count              : 0\n"), Ok(vec![]));
}

fn ecc_910a(page: &str) {
    let zero = NpuEccCounts {
        single_bit: Some(0),
        double_bit: Some(0),
        single_bit_total: Some(0),
        double_bit_total: Some(0),
        single_bit_isolated_pages: Some(0),
        double_bit_isolated_pages: Some(0),
        ..NpuEccCounts::default()
    };
    let expected = NpuEcc {
        npu_id: Some(1),
        chip_id: Some(0),
        ddr: zero.clone(),
        hbm: zero,
    };
    assert_eq!(parse_ecc(page), Ok(vec![expected.clone()]));
    // All published counts are 0, which would not show a count in the wrong place.
    let counted = page
        .replace(
            "DDR Double Bit Error Count               : 0",
            "DDR Double Bit Error Count               : 3",
        )
        .replace(
            "HBM Single Bit Aggregate Total Err Cnt   : 0",
            "HBM Single Bit Aggregate Total Err Cnt   : 17",
        )
        .replace(
            "HBM Double Bit Isolated Pages Count      : 0",
            "HBM Double Bit Isolated Pages Count      : NA",
        );
    let mut changed = expected;
    changed.ddr.double_bit = Some(3);
    changed.hbm.single_bit_total = Some(17);
    changed.hbm.double_bit_isolated_pages = None;
    assert_eq!(parse_ecc(&counted), Ok(vec![changed]));
}

fn ecc_950(page: &str) {
    let hbm = NpuEccCounts {
        single_bit: Some(0),
        double_bit: Some(0),
        single_bit_total: Some(0),
        double_bit_total: Some(0),
        single_bit_isolated_pages: Some(0),
        double_bit_isolated_pages: Some(0),
        single_bit_next_isolated_pages: Some(0),
        double_bit_next_isolated_pages: Some(0),
    };
    let expected = NpuEcc {
        npu_id: Some(0),
        chip_id: None,
        ddr: NpuEccCounts::default(),
        hbm,
    };
    assert_eq!(parse_ecc(page), Ok(vec![expected]));
}

fn flash_950(page: &str) {
    let expected = NpuFlash {
        flash_id: "1730504".into(),
        manufacturer_id: text("0xC2"),
        capacity_bytes: Some(64 * MIB),
    };
    assert_eq!(parse_flash(page), Ok(vec![expected]));
}

fn health_950(page: &str) {
    let expected = NpuDiagnosis {
        npu_id: Some(0),
        health: NpuHealth::Ok,
        error_codes: vec![],
        information: None,
    };
    assert_eq!(parse_diagnosis(page), Ok(expected));
}

fn health_310b4(page: &str) {
    let expected = NpuDiagnosis {
        npu_id: None,
        health: NpuHealth::Alarm,
        error_codes: vec![0x80E3_A203],
        information: text(
            "node type=LPM, sensor type=Chip Hardware, event state=The function of obtaining the current is abnormal",
        ),
    };
    assert_eq!(parse_diagnosis(page), Ok(expected));
}

fn health_910a(page: &str) {
    let expected = NpuDiagnosis {
        npu_id: None,
        health: NpuHealth::Ok,
        error_codes: vec![],
        information: None,
    };
    assert_eq!(parse_diagnosis(page), Ok(expected));
}

fn vnpus_310p(page: &str) {
    let vnpu = |vnpu_id, vgroup_id, template: &str| Vnpu {
        vnpu_id,
        vgroup_id: Some(vgroup_id),
        container_id: None,
        status: Some(1),
        template: text(template),
    };
    let mut expected = vec![vnpu(100, 0, "vir01"), vnpu(101, 1, "vir02"), vnpu(102, 2, "vir04")];
    assert_eq!(parse_vnpus(page).as_ref(), Ok(&expected));
    expected[0].container_id = text("00ffab12cd34");
    assert_eq!(
        parse_vnpus(&page.replacen("ffffffffffff", "00ffab12cd34", 1)),
        Ok(expected)
    );
    assert_eq!(parse_vnpus("| Total number of vnpu: 0     |\n"), Ok(vec![]));
    assert!(parse_vnpus("| Total number of vnpu: 3     |\n").is_err());
}

fn memory_910b3(page: &str) {
    let expected = NpuReading {
        ddr_mhz: Some(0.0),
        hbm_bytes: Some(64 * GIB),
        hbm_mhz: Some(1600.0),
        hbm_temperature_c: Some(52.0),
        ..NpuReading::default()
    };
    assert_eq!(parse_readings(page), Ok(vec![expected]));
}

fn memory_950(page: &str) {
    let expected = NpuReading {
        npu_id: Some(0),
        ddr_mhz: Some(0.0),
        hbm_bytes: Some(128 * GIB),
        hbm_mhz: Some(3200.0),
        hbm_temperature_c: Some(63.0),
        ..NpuReading::default()
    };
    assert_eq!(parse_readings(page), Ok(vec![expected]));
}

fn power_910b(page: &str) {
    let expected = NpuReading {
        npu_id: Some(0),
        chip_id: Some(0),
        power_w: Some(103.5),
        ..NpuReading::default()
    };
    assert_eq!(parse_readings(page), Ok(vec![expected]));
}

fn power_950(page: &str) {
    let expected = NpuReading {
        npu_id: Some(0),
        power_w: Some(296.5),
        ..NpuReading::default()
    };
    assert_eq!(parse_readings(page), Ok(vec![expected]));
}

fn processes_910b3(page: &str) {
    let expected = NpuProcess {
        pid: 207_795,
        name: "VLLMEngineCor".into(),
        memory_bytes: Some(55_436 * MIB),
    };
    assert_eq!(parse_processes(page), Ok(vec![expected]));
}

fn processes_950(page: &str) {
    let expected = NpuProcess {
        pid: 395_864,
        name: "power_test".into(),
        memory_bytes: Some(5118 * MIB),
    };
    assert_eq!(parse_processes(page), Ok(vec![expected]));
    let idle: String = page.lines().take(1).map(|line| format!("{line}\n")).collect();
    assert_eq!((parse_processes(&idle), parse_processes("")), (Ok(vec![]), Ok(vec![])));
    assert!(parse_processes("dcmi module initialize failed\n").is_err());
}

fn sensor(name: &str, temperature_c: Option<f64>) -> NpuSensor {
    NpuSensor {
        name: name.to_owned(),
        temperature_c,
    }
}

fn sensors_950(page: &str) {
    let expected = NpuReading {
        hbm_temperature_c: Some(63.0),
        sensors: vec![
            sensor("Soc Max Temperature", Some(67.0)),
            sensor("SFP Temperature", None),
            sensor("NDIE Temperature", Some(65.0)),
        ],
        ..NpuReading::default()
    };
    assert_eq!(parse_readings(page), Ok(vec![expected]));
}

fn temperatures_910b(page: &str) {
    let chip = NpuReading {
        npu_id: Some(0),
        chip_id: Some(0),
        temperature_c: Some(39.0),
        ..NpuReading::default()
    };
    let controller = NpuReading {
        npu_id: Some(0),
        controller: true,
        sensors: vec![sensor("LM75A_TE", Some(36.0)), sensor("LM75B_TE", Some(36.0))],
        ..NpuReading::default()
    };
    assert_eq!(parse_readings(page), Ok(vec![chip, controller]));
}

fn temperatures_950(page: &str) {
    let expected = NpuReading {
        npu_id: Some(0),
        temperature_c: Some(53.0),
        ..NpuReading::default()
    };
    assert_eq!(parse_readings(page), Ok(vec![expected]));
}

fn templates_310p3(page: &str) {
    // Name, then in the order of the header: AICORE, Memory (GB), AICPU, VPC, VENC, JPEGD, and PNGD, VDEC, JPEGE below.
    let expected = [
        ("vir01", [1, 3, 1, 1, 0, 2, 0, 1, 1]),
        ("vir02", [2, 6, 2, 3, 1, 4, 0, 3, 2]),
        ("vir02_1c", [2, 6, 1, 3, 0, 4, 0, 3, 2]),
        ("vir04", [4, 12, 4, 6, 2, 8, 0, 6, 4]),
        ("vir04_3c", [4, 12, 3, 6, 1, 8, 0, 6, 4]),
        ("vir04_3c_ndvpp", [4, 12, 3, 0, 0, 0, 0, 0, 0]),
        ("vir04_4c_dvpp", [4, 12, 4, 12, 3, 16, 0, 12, 8]),
    ]
    .map(
        |(name, [ai_cores, memory, ai_cpus, vpc, venc, jpegd, pngd, vdec, jpege])| VnpuTemplate {
            name: name.to_owned(),
            ai_cores: Some(ai_cores),
            memory_bytes: Some(u64::from(memory) * GIB),
            ai_cpus: Some(ai_cpus),
            vpc: Some(vpc),
            venc: Some(venc),
            vdec: Some(vdec),
            jpegd: Some(jpegd),
            jpege: Some(jpege),
            pngd: Some(pngd),
        },
    );
    assert_eq!(parse_templates(page), Ok(expected.to_vec()));
    // Each can be asked for.
    for template in expected {
        let part = json!({"name": "a", "run": {"kind": "container", "image": "x"},
            "resources": {"npus": 1, "npu_model": "310P3", "vnpu": template.name}});
        let spec: Spec = serde_json::from_value(json!({ "parts": [part] })).unwrap();
        assert_eq!(spec.check(), Ok(()), "{}", template.name);
    }
}

fn certificate_950(page: &str) {
    let expected = NpuCertificate {
        expiry_alarm: Some(false),
        start: text("Fri Aug  1 12:09:19 2025"),
        end: text("Mon Jul 30 12:09:19 2035"),
        common_name: text("CC2CF66480E095F3116BC392A67A7B05144301E3"),
    };
    assert_eq!(parse_certificate(page), Ok(expected));
}

fn usages_910a(page: &str) {
    let expected = NpuReading {
        npu_id: Some(0),
        chip_id: Some(0),
        ddr_bytes: Some(13_553 * MIB),
        ddr_percent: Some(6.0),
        ddr_bandwidth_percent: Some(0.0),
        hugepages_total: Some(0),
        hugepages_percent: Some(0.0),
        hbm_bytes: Some(31_129 * MIB),
        hbm_percent: Some(0.0),
        hbm_bandwidth_percent: Some(0.0),
        ai_core_percent: Some(0.0),
        ai_cpu_percent: Some(0.0),
        control_cpu_percent: Some(0.0),
        ..NpuReading::default()
    };
    assert_eq!(parse_readings(page), Ok(vec![expected]));
}

fn usages_910b(page: &str) {
    let expected = NpuReading {
        npu_id: Some(0),
        chip_id: Some(0),
        ddr_percent: Some(0.0),
        ddr_bandwidth_percent: Some(0.0),
        hugepages_total: Some(0),
        hugepages_percent: Some(0.0),
        hbm_bytes: Some(64 * GIB),
        hbm_percent: Some(5.0),
        hbm_bandwidth_percent: Some(0.0),
        ai_core_percent: Some(0.0),
        ai_vector_percent: Some(0.0),
        ai_cube_percent: Some(0.0),
        ai_cpu_percent: Some(0.0),
        control_cpu_percent: Some(6.0),
        npu_percent: Some(0.0),
        ..NpuReading::default()
    };
    assert_eq!(parse_readings(page), Ok(vec![expected]));
}

fn usages_950(page: &str) {
    let expected = NpuReading {
        npu_id: Some(0),
        ddr_percent: Some(0.0),
        ddr_bandwidth_percent: Some(0.0),
        hugepages_total: Some(0),
        hugepages_percent: Some(0.0),
        hbm_bytes: Some(128 * GIB),
        hbm_percent: Some(3.0),
        hbm_bandwidth_percent: Some(3.0),
        ai_core_percent: Some(0.0),
        ai_vector_percent: Some(0.0),
        ai_cube_percent: Some(0.0),
        ai_cpu_percent: Some(0.0),
        control_cpu_percent: Some(40.0),
        npu_percent: Some(0.0),
        ..NpuReading::default()
    };
    assert_eq!(parse_readings(page), Ok(vec![expected]));
}

fn watch_950(page: &str) {
    let expected: Vec<_> = [
        (0, 290.4, 51.0, 16.0),
        (1, 292.1, 49.0, 4.0),
        (2, 291.2, 49.0, 7.0),
        (3, 292.1, 49.0, 3.0),
        (4, 291.5, 49.0, 4.0),
        (5, 289.5, 50.0, 6.0),
        (6, 288.5, 48.0, 8.0),
        (7, 289.3, 51.0, 14.0),
    ]
    .map(|(npu_id, power, celsius, control_cpu)| NpuReading {
        npu_id: Some(npu_id),
        power_w: Some(power),
        temperature_c: Some(celsius),
        ai_core_percent: Some(0.0),
        ai_cpu_percent: Some(0.0),
        control_cpu_percent: Some(control_cpu),
        npu_percent: Some(0.0),
        ai_cube_percent: Some(0.0),
        ..NpuReading::default()
    })
    .into();
    assert_eq!(parse_watch(page), Ok(expected));
}

fn created(page: &str) {
    let expected = NpuAnswer {
        ok: true,
        message: text("Create vnpu success"),
    };
    assert_eq!(parse_answer(page), Ok(expected.clone()));
    assert_eq!(
        parse_answer("Status : OK\nMessage : Create vnpu success\n"),
        Ok(expected)
    );
    let failed = NpuAnswer {
        ok: false,
        message: text("no resource: vir16"),
    };
    assert_eq!(
        parse_answer("  Status : Failed   Message : no resource: vir16\n"),
        Ok(failed)
    );
    assert!(matches!(
        parse_answer("This device does not exist.\n"),
        Err(ParseError::Unparsable { line: 1, .. })
    ));
}

#[test]
fn values_that_are_absent_are_none_on_pages_too() {
    let page = "NPU ID : 3\nChip ID : 0\nTemperature(C) : NA\nNPU Real-time Power(W) : -\nAicore Usage Rate(%) : 200\n";
    let expected = NpuReading {
        npu_id: Some(3),
        chip_id: Some(0),
        ..NpuReading::default()
    };
    assert_eq!(parse_readings(page), Ok(vec![expected]));
}

#[test]
fn chips_that_no_blank_line_parts_stay_apart() {
    let chip = |chip_id, watts| NpuReading {
        npu_id: Some(1),
        chip_id: Some(chip_id),
        power_w: Some(watts),
        ..NpuReading::default()
    };
    let expected = Ok(vec![chip(0, 10.0), chip(1, 20.0)]);
    let first = "NPU ID : 1\nChip ID : 0\nNPU Real-time Power(W) : 10\nChip ID : 1\nNPU Real-time Power(W) : 20\n";
    let last = "NPU ID : 1\nNPU Real-time Power(W) : 10\nChip ID : 0\nNPU Real-time Power(W) : 20\nChip ID : 1\n";
    assert_eq!(
        (parse_readings(first), parse_readings(last)),
        (expected.clone(), expected)
    );
}
