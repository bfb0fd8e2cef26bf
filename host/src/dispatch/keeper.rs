//! Keeps one page of every adapter warm, so that a request finds the site loaded.

use std::sync::Arc;
use std::time::Duration;

use crate::browser::InstanceState;

use super::Inner;

/// How often idle pages are looked after when nothing is heard of a change: a tab may die while nobody uses it.
const LOOK: Duration = Duration::from_secs(2);

/// Runs until the dispatcher drains.
pub(super) async fn run(inner: Arc<Inner>) {
    let mut adapters = inner.registry.changes();
    let mut browser = inner.instance.state();
    loop {
        if matches!(&*browser.borrow_and_update(), InstanceState::Ready { .. }) {
            look_after_all(&inner).await;
        }
        tokio::select! {
            () = inner.draining.cancelled() => return,
            changed = adapters.changed() => if changed.is_err() { return },
            changed = browser.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

async fn look_after_all(inner: &Inner) {
    for adapter in inner.registry.all() {
        let pool = inner.pool(&adapter.manifest.id);
        let warm = pool.keep_warm(&inner.instance, &adapter.manifest);
        let result = tokio::select! {
            () = inner.draining.cancelled() => return,
            result = warm => result,
        };
        if let Err(error) = result {
            tracing::warn!(adapter = adapter.label(), %error, "no page could be opened ahead of requests");
        }
    }
}
