//! The rows, as a table and as `target/bench.json`.

use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

/// The median of several measurements, and the least and the greatest of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Spread {
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        assert!(!values.is_empty(), "nothing was measured");
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median = if values.len().is_multiple_of(2) {
            f64::midpoint(values[middle - 1], values[middle])
        } else {
            values[middle]
        };
        Self { median, low: values[0], high: values[values.len() - 1] }
    }
}

/// What is to hold.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    /// None: the row is there to be compared.
    None,
    /// The ratio is at least this.
    Ratio(f64),
    /// The ratio is at most this.
    RatioAtMost(f64),
    /// The value is at least this.
    AtLeast(f64),
    /// The value is at most this.
    AtMost(f64),
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    value: f64,
    unit: &'static str,
    baseline: Option<f64>,
    ratio: Option<f64>,
    goal: Option<String>,
    holds: Option<bool>,
    /// Least and greatest: of the ratio where there is one, of the value otherwise.
    spread: [f64; 2],
}

#[derive(Debug, Default)]
pub(crate) struct Report(Vec<Row>);

impl Report {
    /// A subject beside its baseline, measured in pairs: (baseline, subject).
    pub(crate) fn pairs(
        &mut self,
        name: impl Into<String>,
        unit: &'static str,
        pairs: &[(f64, f64)],
        goal: Goal,
    ) {
        let ratio =
            Spread::of(pairs.iter().map(|(baseline, subject)| subject / baseline).collect());
        let value = Spread::of(pairs.iter().map(|(_, subject)| *subject).collect());
        let baseline = Spread::of(pairs.iter().map(|(baseline, _)| *baseline).collect());
        self.push(name.into(), unit, value, Some((baseline.median, ratio)), goal);
    }

    /// A value without baseline, measured several times.
    pub(crate) fn values(
        &mut self,
        name: impl Into<String>,
        unit: &'static str,
        values: Vec<f64>,
        goal: Goal,
    ) {
        self.push(name.into(), unit, Spread::of(values), None, goal);
    }

    fn push(
        &mut self,
        name: String,
        unit: &'static str,
        value: Spread,
        beside: Option<(f64, Spread)>,
        goal: Goal,
    ) {
        let spread = beside.map_or(value, |(_, ratio)| ratio);
        let (words, holds) = match goal {
            Goal::None => (None, None),
            Goal::Ratio(least) => (Some(format!("ratio ≥ {least}")), Some(spread.high >= least)),
            Goal::RatioAtMost(most) => (Some(format!("ratio ≤ {most}")), Some(spread.low <= most)),
            Goal::AtLeast(least) => (Some(format!("≥ {least}")), Some(value.high >= least)),
            Goal::AtMost(most) => (Some(format!("≤ {most}")), Some(value.low <= most)),
        };
        let row = Row {
            name,
            value: rounded(value.median),
            unit,
            baseline: beside.map(|(baseline, _)| rounded(baseline)),
            ratio: beside.map(|(_, ratio)| rounded(ratio.median)),
            goal: words,
            holds,
            spread: [rounded(spread.low), rounded(spread.high)],
        };
        eprintln!("{}", row.line());
        self.0.push(row);
    }

    /// Prints the table and writes the file.
    pub(crate) fn write(&self) -> anyhow::Result<()> {
        println!("| measured | value | baseline | ratio | spread | goal | holds |");
        println!("|---|---|---|---|---|---|---|");
        for row in &self.0 {
            println!("{}", row.line());
        }
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench.json");
        // What is built may go elsewhere.
        path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        let json = serde_json::to_vec_pretty(&self.0)?;
        std::fs::write(&path, json).with_context(|| format!("cannot write {}", path.display()))
    }
}

impl Row {
    fn line(&self) -> String {
        let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
        format!(
            "| {} | {} {} | {} | {} | {}–{} | {} | {} |",
            self.name,
            self.value,
            self.unit,
            number(self.baseline),
            number(self.ratio),
            self.spread[0],
            self.spread[1],
            self.goal.as_deref().unwrap_or_default(),
            match self.holds {
                None => "",
                Some(true) => "yes",
                Some(false) => "**no**",
            }
        )
    }
}

/// Three significant digits below a thousand, whole numbers above: more would not be true.
fn rounded(value: f64) -> f64 {
    let scale = match value.abs() {
        large if large >= 100.0 => 1.0,
        middle if middle >= 10.0 => 10.0,
        small if small >= 1.0 => 100.0,
        _ => 1000.0,
    };
    (value * scale).round() / scale
}
