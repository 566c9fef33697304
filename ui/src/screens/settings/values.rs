//! The settings as texts of a form, and back.

use edgedeck_model::{api::Settings, app::MIB};

/// One number of the form. `field` is its path in the rules.
#[derive(Clone, Copy)]
pub struct Number {
    pub field: &'static str,
    pub print: fn(&Settings) -> String,
    /// `false` where the text is no value.
    pub put: fn(&mut Settings, &str) -> bool,
}

pub const RESERVE_CPU: Number = Number {
    field: "limits.reserve_cpu_millis",
    print: |settings| (f64::from(settings.limits.reserve_cpu_millis) / 1_000.0).to_string(),
    put: |settings, text| match decimal(text)
        .map(|cores| cores * 1_000.0)
        .filter(|millis| *millis <= f64::from(u32::MAX))
    {
        Some(millis) => {
            settings.limits.reserve_cpu_millis = millis.round() as u32;
            true
        }
        None => false,
    },
};

pub const RESERVE_MEMORY: Number = Number {
    field: "limits.reserve_memory_bytes",
    print: |settings| (settings.limits.reserve_memory_bytes as f64 / MIB as f64).to_string(),
    put: |settings, text| match decimal(text)
        .map(|mib| mib * MIB as f64)
        .filter(|bytes| *bytes < 2_f64.powi(53))
    {
        Some(bytes) => {
            settings.limits.reserve_memory_bytes = bytes.round() as u64;
            true
        }
        None => false,
    },
};

pub const DEPLOYMENTS: Number = Number {
    field: "limits.deployments_per_node",
    print: |settings| settings.limits.deployments_per_node.to_string(),
    put: |settings, text| whole(text, &mut settings.limits.deployments_per_node),
};

pub const TRIAL: Number = Number {
    field: "software.trial_seconds",
    print: |settings| settings.software.trial_seconds.to_string(),
    put: |settings, text| whole(text, &mut settings.software.trial_seconds),
};

pub const DISK_RAISE: Number = Number {
    field: "thresholds.disk_raise",
    print: |settings| settings.thresholds.disk_raise.to_string(),
    put: |settings, text| single(text, &mut settings.thresholds.disk_raise),
};

pub const DISK_CLEAR: Number = Number {
    field: "thresholds.disk_clear",
    print: |settings| settings.thresholds.disk_clear.to_string(),
    put: |settings, text| single(text, &mut settings.thresholds.disk_clear),
};

pub const NPU_RAISE: Number = Number {
    field: "thresholds.npu_raise",
    print: |settings| settings.thresholds.npu_raise.to_string(),
    put: |settings, text| single(text, &mut settings.thresholds.npu_raise),
};

pub const NPU_CLEAR: Number = Number {
    field: "thresholds.npu_clear",
    print: |settings| settings.thresholds.npu_clear.to_string(),
    put: |settings, text| single(text, &mut settings.thresholds.npu_clear),
};

pub const CERTIFICATE: Number = Number {
    field: "thresholds.certificate_days",
    print: |settings| settings.thresholds.certificate_days.to_string(),
    put: |settings, text| whole(text, &mut settings.thresholds.certificate_days),
};

pub const RESTARTS: Number = Number {
    field: "thresholds.restarts",
    print: |settings| settings.thresholds.restarts.to_string(),
    put: |settings, text| whole(text, &mut settings.thresholds.restarts),
};

pub const MEF_CALLS: Number = Number {
    field: "mef.calls_per_second",
    print: |settings| settings.mef.calls_per_second.to_string(),
    put: |settings, text| whole(text, &mut settings.mef.calls_per_second),
};

pub const MEF_BURST: Number = Number {
    field: "mef.burst",
    print: |settings| settings.mef.burst.to_string(),
    put: |settings, text| whole(text, &mut settings.mef.burst),
};

pub const MEF_AT_ONCE: Number = Number {
    field: "mef.at_once",
    print: |settings| settings.mef.at_once.to_string(),
    put: |settings, text| whole(text, &mut settings.mef.at_once),
};

pub const MEF_BODY: Number = Number {
    field: "mef.body_kib",
    print: |settings| settings.mef.body_kib.to_string(),
    put: |settings, text| whole(text, &mut settings.mef.body_kib),
};

/// Addresses, one a line.
pub fn read_addresses(text: &str) -> Vec<String> {
    text.split(['\n', ',', '，'])
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

fn decimal(text: &str) -> Option<f64> {
    let text = text.trim();
    let plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.');
    if plain { text.parse().ok() } else { None }
}

fn whole(text: &str, into: &mut u32) -> bool {
    text.trim().parse().is_ok_and(|value| {
        *into = value;
        true
    })
}

fn single(text: &str, into: &mut f32) -> bool {
    decimal(text).is_some_and(|value| {
        *into = value as f32;
        true
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Number; 14] = [
        RESERVE_CPU,
        RESERVE_MEMORY,
        DEPLOYMENTS,
        DISK_RAISE,
        DISK_CLEAR,
        NPU_RAISE,
        NPU_CLEAR,
        CERTIFICATE,
        RESTARTS,
        TRIAL,
        MEF_CALLS,
        MEF_BURST,
        MEF_AT_ONCE,
        MEF_BODY,
    ];

    #[test]
    fn what_is_printed_is_put_back() {
        let settings = Settings::default();
        for number in ALL {
            let mut other = settings.clone();
            assert!((number.put)(&mut other, &(number.print)(&settings)), "{}", number.field);
            assert_eq!(other, settings, "{}", number.field);
        }
    }

    #[test]
    fn each_field_changes_its_own_setting_and_refuses_what_is_no_number() {
        for number in ALL {
            let mut settings = Settings::default();
            assert!((number.put)(&mut settings, "3"), "{}", number.field);
            assert_eq!((number.print)(&settings), "3", "{}", number.field);
            for bad in ["", "x", "-1", "1e2", "3 cores"] {
                assert!(!(number.put)(&mut settings, bad), "{} {bad:?}", number.field);
            }
        }
    }

    #[test]
    fn addresses() {
        assert_eq!(
            read_addresses(" 10.0.0.1\n\n lab.local , b，c"),
            ["10.0.0.1", "lab.local", "b", "c"]
        );
    }
}
