//! The report as a workbook: summary with native charts, then one sheet per table.

use crate::html::heading;
use crate::local::Clock;
use crate::tables::{Cell, Table, alarms, deployments, node_data};
use crate::text::clean;
use crate::{Error, ReportData, summary};
use edgedeck_charts::{Count, Theme};
use edgedeck_model::telemetry::Unit;
use edgedeck_model::{Time, text};
use rust_xlsxwriter::{
    Chart, Color, DocProperties, ExcelDateTime, Format, FormatAlign, FormatBorder, Workbook, Worksheet,
};

/// Excel ends at 1,048,576 rows.
const ROWS: usize = 1_000_000;
/// Rows of the sheet with the curves: means over as many equal parts of the period.
const PARTS: usize = 1_000;
const DATE: &str = "yyyy-mm-dd hh:mm";

/// # Errors
/// [`Error::TimeZone`]; [`Error::Xlsx`] if the workbook cannot be written.
pub fn xlsx(data: &ReportData) -> Result<Vec<u8>, Error> {
    let clock = Clock::of(data)?;
    let mut book = Workbook::new();
    let properties = DocProperties::new()
        .set_title(summary::title(data))
        .set_subject(clean(&data.lab))
        .set_author("EdgeDeck")
        .set_creation_datetime(&excel_time(data.generated_at, &clock)?);
    book.set_properties(&properties);
    let curves = data.kind.has_health() && !data.series.is_empty();
    let curves_name = data.lang.pick("曲线", "Curves");
    let summary_name = data.lang.pick("概要", "Summary");
    write_summary(book.add_worksheet().set_name(summary_name)?, data, &clock, summary_name)?;
    write_table(book.add_worksheet(), &node_data(data), &clock)?;
    if data.kind.has_health() {
        let mut table = alarms(data);
        // Widths of the printed page suit no sheet.
        let widths = [10.0, 18.0, 24.0, 60.0, 17.0, 17.0, 16.0, 16.0];
        table
            .columns
            .iter_mut()
            .zip(widths)
            .for_each(|(column, width)| column.width = width);
        write_table(book.add_worksheet(), &table, &clock)?;
    }
    if data.kind.has_inventory() {
        let mut table = deployments(data);
        let widths = [26.0, 22.0, 12.0, 26.0, 10.0, 9.0, 9.0, 9.0, 10.0, 17.0];
        table
            .columns
            .iter_mut()
            .zip(widths)
            .for_each(|(column, width)| column.width = width);
        write_table(book.add_worksheet(), &table, &clock)?;
    }
    if curves {
        write_curves(book.add_worksheet().set_name(curves_name)?, data, &clock, curves_name)?;
    }
    Ok(book.save_to_buffer()?)
}

/// The time as the lab's clock shows it: Excel has no time zones.
fn excel_time(time: Time, clock: &Clock) -> Result<ExcelDateTime, Error> {
    let civil = clock.civil(time);
    let year = civil.year().clamp(1900, 9999) as u16;
    let date = ExcelDateTime::from_ymd(year, civil.month() as u8, civil.day() as u8)?;
    Ok(date.and_hms(civil.hour() as u16, civil.minute() as u8, civil.second() as u8)?)
}

fn color(color: edgedeck_charts::Color) -> Color {
    Color::RGB(u32::from(color.0) << 16 | u32::from(color.1) << 8 | u32::from(color.2))
}

fn head() -> Format {
    Format::new()
        .set_bold()
        .set_background_color(Color::RGB(0xF4F5F7))
        .set_border_bottom(FormatBorder::Thin)
}

fn page(sheet: &mut Worksheet) {
    sheet
        .set_landscape()
        .set_paper_size(9)
        .set_print_fit_to_pages(1, 0)
        .set_footer("&L&A&R&P / &N");
}

fn write_summary(sheet: &mut Worksheet, data: &ReportData, clock: &Clock, name: &str) -> Result<(), Error> {
    page(sheet);
    sheet
        .set_column_width(0, 26)?
        .set_column_width(1, 22)?
        .set_screen_gridlines(false);
    let title = Format::new().set_bold().set_font_size(18);
    let quiet = Format::new().set_font_color(Color::RGB(0x57606A));
    let strong = Format::new().set_bold().set_align(FormatAlign::Left);
    sheet.write_string_with_format(0, 0, clean(&data.lab), &quiet)?;
    sheet.write_string_with_format(1, 0, summary::title(data), &title)?;
    let mut row = 2;
    for (label, value) in heading(data, clock) {
        sheet.write_string_with_format(row, 0, label, &quiet)?;
        sheet.write_string(row, 1, clean(&value))?;
        row += 1;
    }
    row += 1;
    for sentence in summary::sentences(data) {
        sheet.write_string(row, 0, clean(&sentence))?;
        row += 1;
    }
    row += 1;
    for figure in summary::figures(data) {
        sheet.write_string_with_format(row, 0, figure.label, &quiet)?;
        sheet.write_string_with_format(row, 1, figure.value, &strong)?;
        row += 1;
    }
    row += 1;
    let top = row;
    let title = data.lang.pick("节点状态", "Nodes by state");
    row = write_counts(
        sheet,
        row,
        title,
        &summary::states(data),
        (name, Chart::new_doughnut()),
        3,
        top,
    )?;
    if data.kind.has_health() {
        let title = data.lang.pick("期间告警（按级别）", "Alarms of the period by severity");
        write_counts(
            sheet,
            row + 1,
            title,
            &summary::severities(data),
            (name, Chart::new_bar()),
            9,
            top,
        )?;
    }
    Ok(())
}

/// A small table of counts with a chart of it at `column`; returns the row after the table.
fn write_counts(
    sheet: &mut Worksheet,
    top: u32,
    title: &str,
    counts: &[Count],
    (name, mut chart): (&str, Chart),
    column: u16,
    chart_row: u32,
) -> Result<u32, Error> {
    sheet.write_string_with_format(top, 0, title, &head())?;
    sheet.write_blank(top, 1, &head())?;
    let number = Format::new().set_num_format("#,##0");
    for (row, count) in (top + 1..).zip(counts) {
        sheet.write_string(row, 0, &count.label)?;
        sheet.write_number_with_format(row, 1, count.count as f64, &number)?;
    }
    let last = top + counts.len() as u32;
    let colors: Vec<_> = counts
        .iter()
        .map(|count| {
            let fill = rust_xlsxwriter::ChartSolidFill::new()
                .set_color(color(Theme::Light.tone(count.tone)))
                .clone();
            rust_xlsxwriter::ChartPoint::new()
                .set_format(rust_xlsxwriter::ChartFormat::new().set_solid_fill(&fill))
                .clone()
        })
        .collect();
    let series = chart.add_series();
    series
        .set_categories((name, top + 1, 0, last, 0))
        .set_values((name, top + 1, 1, last, 1))
        .set_points(&colors);
    chart.title().set_name(title);
    chart.set_width(360).set_height(240);
    if column > 3 {
        chart.legend().set_hidden();
        chart.y_axis().set_reverse();
    }
    sheet.insert_chart(chart_row, column, &chart)?;
    Ok(last + 1)
}

fn write_table(sheet: &mut Worksheet, table: &Table, clock: &Clock) -> Result<(), Error> {
    sheet.set_name(table.title)?;
    page(sheet);
    sheet.set_freeze_panes(1, 1)?.set_repeat_rows(0, 0)?;
    let format = |pattern: &str| Format::new().set_num_format(pattern);
    let (count, percent, celsius, date) = (format("#,##0"), format("0.0%"), format("0.0 \"°C\""), format(DATE));
    let gib = format("#,##0.0 \"GiB\"");
    for (at, column) in table.columns.iter().enumerate() {
        let align = if column.right {
            FormatAlign::Right
        } else {
            FormatAlign::Left
        };
        sheet.write_string_with_format(0, at as u16, column.title, &head().set_align(align))?;
        sheet.set_column_width(at as u16, column.width)?;
    }
    for (row, cells) in (1..).zip(table.rows.iter().take(ROWS)) {
        for (at, cell) in (0..).zip(cells) {
            match cell {
                Cell::Absent => continue,
                // A string cell is never a formula, whatever it begins with.
                Cell::Text(text) => sheet.write_string(row, at, text)?,
                Cell::State(word, tone) => {
                    let format = Format::new().set_font_color(color(Theme::Light.tone(*tone)));
                    sheet.write_string_with_format(row, at, *word, &format)?
                }
                Cell::Count(value) => sheet.write_number_with_format(row, at, *value as f64, &count)?,
                Cell::Percent(value) => sheet.write_number_with_format(row, at, value / 100.0, &percent)?,
                Cell::Celsius(value) => sheet.write_number_with_format(row, at, *value, &celsius)?,
                Cell::Bytes(value) => {
                    let gibibytes = *value as f64 / f64::from(1 << 30);
                    sheet.write_number_with_format(row, at, gibibytes, &gib)?
                }
                Cell::Time(time) => sheet.write_datetime_with_format(row, at, excel_time(*time, clock)?, &date)?,
            };
        }
    }
    if !table.columns.is_empty() {
        let last_row = table.rows.len().min(ROWS) as u32;
        sheet.autofilter(0, 0, last_row, table.columns.len() as u16 - 1)?;
    }
    Ok(())
}

/// The mean of each series over equal parts of the period, and a native chart of each.
fn write_curves(sheet: &mut Worksheet, data: &ReportData, clock: &Clock, name: &str) -> Result<(), Error> {
    page(sheet);
    sheet.set_freeze_panes(1, 1)?;
    let (from, to) = (data.period.0.0, data.period.1.0.max(data.period.0.0.saturating_add(1)));
    let span = to.saturating_sub(from).max(1) as i128;
    let date = Format::new().set_num_format(DATE);
    sheet
        .write_string_with_format(0, 0, data.lang.pick("时间", "Time"), &head())?
        .set_column_width(0, 17)?;
    for part in 0..PARTS {
        let time = Time(from.saturating_add((span * part as i128 / PARTS as i128) as i64));
        sheet.write_datetime_with_format(part as u32 + 1, 0, excel_time(time, clock)?, &date)?;
    }
    for (index, series) in data.series.iter().take(12).enumerate() {
        let column = index as u16 + 1;
        let title = text::metric(series.metric, data.lang);
        sheet
            .write_string_with_format(0, column, title, &head())?
            .set_column_width(column, 16)?;
        let (scale, pattern) = match series.metric.unit() {
            Unit::Percent => (100.0, "0.0%"),
            Unit::Celsius => (1.0, "0.0 \"°C\""),
            Unit::Bytes => (f64::from(1 << 30), "0.00 \"GiB\""),
            Unit::BytesPerSecond => (1e6, "0.00 \"MB/s\""),
            Unit::BitsPerSecond => (1e6, "0.00 \"Mbit/s\""),
            Unit::Watt => (1.0, "0.0 \"W\""),
            Unit::Plain => (1.0, "0.00"),
        };
        let format = Format::new().set_num_format(pattern);
        let mut sums = vec![(0.0, 0u32); PARTS];
        for (time, value) in &series.points {
            let part = (i128::from(time.0) - i128::from(from)) * PARTS as i128 / span;
            let slot = usize::try_from(part).ok().and_then(|part| sums.get_mut(part));
            if let (Some(value), Some((sum, count))) = (value.filter(|v| v.is_finite()), slot) {
                *sum += value;
                *count += 1;
            }
        }
        for (part, (sum, count)) in sums.into_iter().enumerate().filter(|(_, (_, count))| *count > 0) {
            let mean = sum / f64::from(count) / scale;
            sheet.write_number_with_format(part as u32 + 1, column, mean, &format)?;
        }
        let mut chart = Chart::new_line();
        let last = PARTS as u32;
        let line = rust_xlsxwriter::ChartLine::new()
            .set_color(color(Theme::Light.series(index)))
            .set_width(1.25)
            .clone();
        chart
            .add_series()
            .set_name((name, 0, column))
            .set_categories((name, 1, 0, last, 0))
            .set_values((name, 1, column, last, column))
            .set_format(rust_xlsxwriter::ChartFormat::new().set_line(&line));
        chart.title().set_name(title);
        chart.legend().set_hidden();
        chart
            .x_axis()
            .set_num_format("mm-dd hh:mm")
            .set_label_interval(PARTS as u16 / 8);
        chart.set_width(560).set_height(260);
        let at = (
            1 + (index as u32 / 2) * 14,
            data.series.len().min(12) as u16 + 2 + (index as u16 % 2) * 9,
        );
        sheet.insert_chart(at.0, at.1, &chart)?;
    }
    Ok(())
}
