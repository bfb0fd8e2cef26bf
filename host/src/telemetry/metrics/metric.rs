//! One metric: what it is called, what it means, and how it is set.

use ::metrics::{Label, Unit};

/// What a metric's value does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    /// As Prometheus calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric. Its unit is the end of its name, as Prometheus wants it.
#[derive(Debug)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    /// The names of its labels, in the order in which the functions give their values.
    pub labels: &'static [&'static str],
    pub about: &'static str,
    /// The upper bounds of a histogram.
    pub buckets: &'static [f64],
}

impl Metric {
    pub(super) const fn counter(name: &'static str, labels: &'static [&'static str], about: &'static str) -> Self {
        Self { name, kind: Kind::Counter, labels, about, buckets: &[] }
    }

    pub(super) const fn gauge(name: &'static str, labels: &'static [&'static str], about: &'static str) -> Self {
        Self { name, kind: Kind::Gauge, labels, about, buckets: &[] }
    }

    pub(super) const fn histogram(
        name: &'static str,
        labels: &'static [&'static str],
        buckets: &'static [f64],
        about: &'static str,
    ) -> Self {
        Self { name, kind: Kind::Histogram, labels, about, buckets }
    }

    pub(super) fn describe(&self) {
        let unit = match self.name {
            name if name.ends_with("_seconds") => Unit::Seconds,
            name if name.ends_with("_bytes") => Unit::Bytes,
            _ => Unit::Count,
        };
        match self.kind {
            Kind::Counter => ::metrics::describe_counter!(self.name, unit, self.about),
            Kind::Gauge => ::metrics::describe_gauge!(self.name, unit, self.about),
            Kind::Histogram => ::metrics::describe_histogram!(self.name, unit, self.about),
        }
    }

    pub(super) fn count(&self, values: &[&str]) {
        ::metrics::counter!(self.name, self.labelled(values)).increment(1);
    }

    pub(super) fn set(&self, values: &[&str], value: f64) {
        ::metrics::gauge!(self.name, self.labelled(values)).set(value);
    }

    pub(super) fn observe(&self, values: &[&str], value: f64) {
        ::metrics::histogram!(self.name, self.labelled(values)).record(value);
    }

    fn labelled(&self, values: &[&str]) -> Vec<Label> {
        self.labels.iter().zip(values).map(|(name, value)| Label::new(*name, (*value).to_owned())).collect()
    }
}
