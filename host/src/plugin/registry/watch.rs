//! Follows the folders and the operator's orders, and swaps in what changed.

use std::sync::Arc;
use std::time::Duration;

use notify::{RecursiveMode, Watcher};
use tokio::sync::{mpsc, watch};

use super::manage::Order;
use super::scan::Scanner;
use super::{ChangeError, RegistryOptions, Shared, Snapshot};

/// A file counts as written when nothing has been heard of its folder for this long.
const SETTLED: Duration = Duration::from_millis(150);
/// Where the system tells nothing (some network mounts), the folders are looked at this often.
const LOOK_ANYWAY: Duration = Duration::from_secs(10);

/// Ends when the registry is dropped, which aborts it.
pub(super) async fn run(
    mut scanner: Scanner,
    options: RegistryOptions,
    shared: Arc<Shared>,
    changes: watch::Sender<u64>,
    mut orders: mpsc::Receiver<Order>,
) {
    // One place: any number of events before the next look are one reason to look.
    let (sender, mut events) = mpsc::channel(1);
    let _watcher = watch_folders(&options, sender);
    let mut first = true;
    let mut answer = None;
    loop {
        let next = scanner.scan().await;
        if first || differs(&shared.snapshot.load(), &next) {
            shared.snapshot.store(Arc::new(next));
            changes.send_modify(|n| *n += 1);
        }
        first = false;
        if let Some((done, id)) = answer.take() {
            tell(done, Ok(id));
        }
        let Some(order) = wait_for_change(&mut events, &mut orders).await else { continue };
        let Order { change, done } = order;
        let worked = tokio::task::spawn_blocking(move || {
            let result = scanner.change(change);
            (scanner, result)
        });
        let Ok((returned, result)) = worked.await else {
            tracing::error!("the adapter loader died: adapters stay as they are until a restart");
            return;
        };
        scanner = returned;
        match result {
            Ok(id) => answer = Some((done, id)),
            Err(error) => tell(done, Err(error)),
        }
    }
}

fn tell(done: tokio::sync::oneshot::Sender<Result<String, ChangeError>>, result: Result<String, ChangeError>) {
    // Whoever asked may have gone.
    let _ = done.send(result);
}

/// Returns when the folders are worth another look, or there is something to do.
async fn wait_for_change(events: &mut mpsc::Receiver<()>, orders: &mut mpsc::Receiver<Order>) -> Option<Order> {
    tokio::select! {
        // None when the registry is being dropped, which ends this task at once.
        order = orders.recv() => if order.is_some() { order } else { std::future::pending().await },
        event = events.recv() => {
            match event {
                Some(()) => while let Ok(Some(())) = tokio::time::timeout(SETTLED, events.recv()).await {},
                // No watcher could be made: only the regular look is left.
                None => tokio::time::sleep(LOOK_ANYWAY).await,
            }
            None
        }
        () = tokio::time::sleep(LOOK_ANYWAY) => None,
    }
}

fn differs(old: &Snapshot, new: &Snapshot) -> bool {
    let generations = |s: &Snapshot| s.adapters.values().map(|a| a.generation).collect::<Vec<_>>();
    old.entries != new.entries
        || old.broken != new.broken
        || old.retired.len() != new.retired.len()
        || generations(old) != generations(new)
}

fn watch_folders(options: &RegistryOptions, sender: mpsc::Sender<()>) -> Option<notify::RecommendedWatcher> {
    let handler = move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|e| !e.kind.is_access()) {
            // Full means that a look is due already.
            let _ = sender.try_send(());
        }
    };
    let mut watcher = notify::recommended_watcher(handler)
        .inspect_err(|error| tracing::warn!(%error, "adapter folders are not watched"))
        .ok()?;
    for folder in options.bundled.iter().chain(&options.dropped_in) {
        if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
            tracing::debug!(folder = %folder.display(), %error, "not watched");
        }
    }
    Some(watcher)
}
