//! The recorder, and its values as text.

use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::task::AbortOnDropHandle;

use super::{ALL, BUILD};

/// Samples of histograms wait until they are put into their buckets; nobody may be scraping.
const UPKEEP: Duration = Duration::from_secs(5);

/// All metrics of this process, to be rendered. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Exposition {
    handle: PrometheusHandle,
    _upkeep: Arc<AbortOnDropHandle<()>>,
}

impl Exposition {
    /// What a response with [`render`](Self::render)'s text declares.
    pub const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// Installs the recorder of this process. Must be called within a runtime, and once: none where there is a recorder already.
    pub fn install() -> Option<Self> {
        let mut builder = PrometheusBuilder::new();
        for metric in ALL.iter().filter(|metric| !metric.buckets.is_empty()) {
            builder = builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), metric.buckets).ok()?;
        }
        let handle = builder.install_recorder().ok()?;
        ALL.iter().for_each(|metric| metric.describe());
        BUILD.set(&[env!("CARGO_PKG_VERSION")], 1.0);
        let keeping = handle.clone();
        let upkeep = async move {
            loop {
                tokio::time::sleep(UPKEEP).await;
                keeping.run_upkeep();
            }
        };
        Some(Self { handle, _upkeep: Arc::new(AbortOnDropHandle::new(tokio::spawn(upkeep))) })
    }

    /// In Prometheus' text format.
    pub fn render(&self) -> String {
        self.handle.render()
    }
}
