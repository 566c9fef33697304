//! Tables as CSV.

/// Rows of fields as CSV, for spreadsheets: with a byte-order mark, and with nothing that one would run as a formula.
pub fn write(rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut out = String::from("\u{feff}");
    for row in rows {
        let fields: Vec<String> = row.iter().map(|text| field(text)).collect();
        out.push_str(&fields.join(","));
        out.push_str("\r\n");
    }
    out
}

fn field(text: &str) -> String {
    let is_number = text.parse::<f64>().is_ok();
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_number;
    let text = if is_formula {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_formulas() {
        let rows = [vec!["a,b", "say \"hi\"", "two\nlines"], vec!["=1+1", "-4.5", "@x"]];
        let csv = write(rows.map(|row| row.into_iter().map(str::to_owned).collect()));
        assert_eq!(
            csv,
            "\u{feff}\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\"\r\n'=1+1,-4.5,'@x\r\n"
        );
    }
}
