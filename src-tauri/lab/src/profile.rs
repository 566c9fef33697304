//! What a simulated node is.

use crate::chance::{number, pick, share};
use edgedeck_model::{
    Time,
    node::{Disk, Facts, Nic, Runtime},
    npu::{NpuChip, NpuHealth, NpuMemory},
    time::DAY,
};

const GIB: u64 = 1 << 30;

/// A kind of box.
#[derive(Debug)]
pub struct Kind {
    pub model: &'static str,
    pub arch: &'static str,
    pub os: &'static str,
    pub kernel: &'static str,
    pub cpu: &'static str,
    pub cpus: u32,
    pub memory_gib: u64,
    pub disk_gib: u64,
    pub cards: u32,
    pub chips_per_card: u32,
    pub chip: &'static str,
    pub chip_memory_gib: u64,
    pub chip_watts: f64,
    pub has_hbm: bool,
    /// Out of 100.
    weight: u64,
}

const KINDS: &[Kind] = &[
    Kind {
        model: "Atlas 200I A2",
        arch: "aarch64",
        os: "openEuler 22.03 (LTS-SP3)",
        kernel: "5.10.0-182.0.0.95.oe2203sp3.aarch64",
        cpu: "TaiShan v200",
        cpus: 4,
        memory_gib: 8,
        disk_gib: 64,
        cards: 1,
        chips_per_card: 1,
        chip: "310B4",
        chip_memory_gib: 8,
        chip_watts: 9.0,
        has_hbm: false,
        weight: 40,
    },
    Kind {
        model: "Atlas 300I Duo",
        arch: "x86_64",
        os: "Ubuntu 22.04.4 LTS",
        kernel: "5.15.0-105-generic",
        cpu: "Intel(R) Xeon(R) Silver 4314 CPU @ 2.40GHz",
        cpus: 32,
        memory_gib: 128,
        disk_gib: 960,
        cards: 2,
        chips_per_card: 2,
        chip: "310P3",
        chip_memory_gib: 48,
        chip_watts: 36.0,
        has_hbm: false,
        weight: 20,
    },
    Kind {
        model: "Atlas 800T A2",
        arch: "aarch64",
        os: "openEuler 22.03 (LTS-SP3)",
        kernel: "5.10.0-182.0.0.95.oe2203sp3.aarch64",
        cpu: "Kunpeng-920",
        cpus: 192,
        memory_gib: 768,
        disk_gib: 3_840,
        cards: 8,
        chips_per_card: 1,
        chip: "910B3",
        chip_memory_gib: 64,
        chip_watts: 92.0,
        has_hbm: true,
        weight: 5,
    },
    Kind {
        model: "ARK-3532",
        arch: "x86_64",
        os: "Debian GNU/Linux 12 (bookworm)",
        kernel: "6.1.0-21-amd64",
        cpu: "Intel(R) Core(TM) i7-10700TE CPU @ 2.00GHz",
        cpus: 16,
        memory_gib: 32,
        disk_gib: 512,
        cards: 0,
        chips_per_card: 0,
        chip: "",
        chip_memory_gib: 0,
        chip_watts: 0.0,
        has_hbm: false,
        weight: 20,
    },
    Kind {
        model: "Raspberry Pi Compute Module 4 Rev 1.1",
        arch: "aarch64",
        os: "Debian GNU/Linux 12 (bookworm)",
        kernel: "6.6.31+rpt-rpi-v8",
        cpu: "Cortex-A72",
        cpus: 4,
        memory_gib: 8,
        disk_gib: 32,
        cards: 0,
        chips_per_card: 0,
        chip: "",
        chip_memory_gib: 0,
        chip_watts: 0.0,
        has_hbm: false,
        weight: 15,
    },
];

const PLACES: &[&str] = &[
    "产线A",
    "产线B",
    "质检线",
    "仓库",
    "园区西门",
    "变电站",
    "隧道",
    "实验台",
];

/// A simulated node: which kind, and which one of it.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    pub seed: u64,
    pub number: u32,
    pub kind: &'static Kind,
}

impl Profile {
    pub fn new(seed: u64, node: u32) -> Self {
        let mut left = number(&[seed, u64::from(node), 1]) % 100;
        let chosen = KINDS.iter().find(|kind| {
            let fits = left < kind.weight;
            left = left.saturating_sub(kind.weight);
            fits
        });
        Self {
            seed,
            number: node,
            kind: chosen.unwrap_or(&KINDS[0]),
        }
    }

    pub fn inputs(&self, what: u64) -> [u64; 3] {
        [self.seed, u64::from(self.number), what]
    }

    /// As `产线A-03/edge-017`.
    pub fn name(&self) -> String {
        let place = pick(PLACES, &self.inputs(2)).copied().unwrap_or_default();
        let row = number(&self.inputs(3)) % 12 + 1;
        format!("{place}-{row:02}/edge-{:03}", self.number)
    }

    pub fn serial(&self) -> String {
        format!("SIM{:04X}{:06}", self.seed & 0xffff, self.number)
    }

    pub fn ip(&self) -> String {
        let n = self.number;
        format!("10.{}.{}.{}", 64 + (n >> 16) % 64, (n >> 8) & 0xff, n & 0xff)
    }

    /// One boot, the same until the lab itself is started anew.
    pub fn boot_id(&self) -> String {
        format!("{:016x}", number(&self.inputs(4)))
    }

    pub fn chips(&self) -> impl Iterator<Item = (u32, u32)> {
        let kind = self.kind;
        (0..kind.cards).flat_map(move |card| (0..kind.chips_per_card).map(move |chip| (card, chip)))
    }

    pub fn disk_bytes(&self) -> u64 {
        self.kind.disk_gib * GIB
    }

    pub fn memory_bytes(&self) -> u64 {
        self.kind.memory_gib * GIB
    }

    /// What the node says of itself. `disk_percent` is how full it is.
    pub fn facts(&self, now: Time, disk_percent: f64, runtime_works: bool) -> Facts {
        let kind = self.kind;
        let ip = self.ip();
        let mac = number(&self.inputs(5)).to_be_bytes();
        let mac: Vec<String> = mac.iter().take(5).map(|byte| format!("{byte:02x}")).collect();
        let memory = NpuMemory {
            used_bytes: 0,
            total_bytes: kind.chip_memory_gib * GIB,
        };
        let npus = self.chips().map(|(card, chip)| NpuChip {
            npu_id: card,
            chip_id: Some(chip),
            logic_id: Some(card * kind.chips_per_card + chip),
            name: kind.chip.to_owned(),
            health: NpuHealth::Ok,
            memory: (!kind.has_hbm).then_some(memory),
            hbm: kind.has_hbm.then_some(memory),
            ..NpuChip::default()
        });
        let runtime = Runtime {
            name: "docker".to_owned(),
            version: "24.0.9".to_owned(),
            api_version: "1.43".to_owned(),
        };
        let days = (share(&self.inputs(6)) * 60.0) as i64;
        Facts {
            host_name: self.name(),
            arch: kind.arch.to_owned(),
            os: kind.os.to_owned(),
            kernel: kind.kernel.to_owned(),
            model: Some(kind.model.to_owned()),
            cpu_model: Some(kind.cpu.to_owned()),
            cpus: kind.cpus,
            memory_bytes: self.memory_bytes(),
            disks: vec![Disk {
                mount: "/".to_owned(),
                device: "/dev/nvme0n1p2".to_owned(),
                filesystem: "ext4".to_owned(),
                total_bytes: self.disk_bytes(),
                used_bytes: (self.disk_bytes() as f64 * disk_percent / 100.0) as u64,
            }],
            nics: vec![Nic {
                name: "eth0".to_owned(),
                mac: Some(format!("02:{}", mac.join(":"))),
                physical: true,
                addresses: vec![ip.clone()],
            }],
            ip: Some(ip),
            // The same each day, so that facts only change when something does.
            boot_at: Some(Time(now.0 - now.0.rem_euclid(DAY) - days * DAY)),
            runtime: runtime_works.then_some(runtime),
            runtime_problem: (!runtime_works).then(|| "the container engine does not answer".to_owned()),
            agent_waiting: None,
            agent_damaged: None,
            agent_space_low: false,
            agent_version: edgedeck_agent::version().to_owned(),
            npu_tool_version: (kind.cards > 0).then(|| "23.0.3".to_owned()),
            npu_driver_version: (kind.cards > 0).then(|| "23.0.3".to_owned()),
            npus: npus.collect(),
            npu_problem: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_same_seed_is_the_same_lab() {
        let facts = |seed, node| Profile::new(seed, node).facts(Time(DAY), 40.0, true);
        assert_eq!(facts(1, 7), facts(1, 7));
        assert_ne!(facts(1, 7), facts(2, 7));
    }

    #[test]
    fn a_lab_has_every_kind_and_no_two_of_a_name() {
        let lab: Vec<Profile> = (0..1_000).map(|node| Profile::new(3, node)).collect();
        let models: BTreeSet<&str> = lab.iter().map(|profile| profile.kind.model).collect();
        assert_eq!(models.len(), KINDS.len());
        let names: BTreeSet<String> = lab.iter().map(Profile::name).collect();
        let serials: BTreeSet<String> = lab.iter().map(Profile::serial).collect();
        assert_eq!((names.len(), serials.len()), (1_000, 1_000));
        assert_eq!(KINDS.iter().map(|kind| kind.weight).sum::<u64>(), 100);
        assert!(
            lab.iter()
                .all(|profile| edgedeck_model::name::check_name("name", &profile.name()).is_ok())
        );
    }
}
