//! Fewer points without losing what can be seen.

/// Larger values are drawn as this one: sums of them stay finite, and no measurement is near it.
const LARGEST: f64 = 1e18;

/// The runs of values to draw between gaps. Of each of `columns` equal columns of `from..=to` the lowest and the
/// highest value are kept, in the order of their times, so a spike of one sample is still seen in a month.
///
/// Points outside `from..=to` and values that are not finite are left out; the latter are gaps. Several points in
/// one column always belong to one run: a gap narrower than a column cannot be drawn.
pub(crate) fn reduce(points: &[(i64, Option<f64>)], from: i64, to: i64, columns: usize) -> Vec<Vec<(i64, f64)>> {
    let span = (to as i128 - from as i128).max(1);
    let columns = columns.max(1) as i128;
    let mut runs: Vec<Vec<(i64, f64)>> = vec![];
    let mut run: Vec<(i64, f64)> = vec![];
    let mut open: Option<Column> = None;
    let mut gap = false;
    for &(time, value) in points {
        if time < from || time > to {
            continue;
        }
        let Some(value) = value.filter(|v| v.is_finite()) else {
            gap = true;
            continue;
        };
        let value = value.clamp(-LARGEST, LARGEST);
        let index = ((time as i128 - from as i128) * columns / span).min(columns - 1);
        match &mut open {
            Some(column) if column.index == index => column.add(time, value),
            _ => {
                if let Some(column) = open.take() {
                    column.close(&mut run);
                }
                if gap && !run.is_empty() {
                    runs.push(std::mem::take(&mut run));
                }
                open = Some(Column {
                    index,
                    low: (time, value),
                    high: (time, value),
                });
            }
        }
        gap = false;
    }
    if let Some(column) = open {
        column.close(&mut run);
    }
    if !run.is_empty() {
        runs.push(run);
    }
    runs
}

struct Column {
    index: i128,
    low: (i64, f64),
    high: (i64, f64),
}

impl Column {
    fn add(&mut self, time: i64, value: f64) {
        if value < self.low.1 {
            self.low = (time, value);
        }
        if value > self.high.1 {
            self.high = (time, value);
        }
    }

    fn close(self, run: &mut Vec<(i64, f64)>) {
        let (first, second) = if self.low.0 <= self.high.0 {
            (self.low, self.high)
        } else {
            (self.high, self.low)
        };
        run.push(first);
        if second != first {
            run.push(second);
        }
    }
}

/// Puts a gap wherever two neighbours are more than `longest_ms` apart, for a source that leaves missing samples out
/// instead of saying so. `points` ascend in time.
pub fn break_gaps(points: Vec<(i64, Option<f64>)>, longest_ms: i64) -> Vec<(i64, Option<f64>)> {
    let mut out = Vec::with_capacity(points.len());
    let mut last: Option<i64> = None;
    for (time, value) in points {
        if let Some(last) = last
            && time.saturating_sub(last) > longest_ms
        {
            out.push((last.saturating_add(longest_ms), None));
        }
        out.push((time, value));
        last = Some(time);
    }
    out
}

/// Index of the point nearest in time to `time`, gaps included, so that a crosshair can say "no data".
/// `points` ascend in time; none for an empty slice.
pub fn nearest(points: &[(i64, Option<f64>)], time: i64) -> Option<usize> {
    let after = points.partition_point(|point| point.0 < time);
    let distance = |at: usize| points.get(at).map(|point| (point.0 as i128 - time as i128).abs());
    let before = after.checked_sub(1);
    match (before, before.and_then(distance), distance(after)) {
        (Some(before), Some(left), Some(right)) if left <= right => Some(before),
        (Some(before), Some(_), None) => Some(before),
        (_, _, Some(_)) => Some(after),
        _ => None,
    }
}
