//! Follows the folders and swaps in what changed.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use notify::{RecursiveMode, Watcher};
use tokio::sync::{mpsc, oneshot, watch};

use super::scan::Scanner;
use super::{RegistryOptions, Snapshot};

/// A file counts as written when nothing has been heard of its folder for this long.
const SETTLED: Duration = Duration::from_millis(150);
/// How far the loader steps back for others, from 0 to 19.
const NICE: i32 = 10;
/// Where the system tells nothing (some network mounts), the folders are looked at this often.
const LOOK_ANYWAY: Duration = Duration::from_secs(10);

/// Ends when the registry is dropped, which aborts it.
pub(super) async fn run(
    mut scanner: Scanner,
    options: RegistryOptions,
    snapshot: Arc<ArcSwap<Snapshot>>,
    changes: watch::Sender<u64>,
) {
    // One place: any number of events before the next look are one reason to look.
    let (sender, mut events) = mpsc::channel(1);
    let _watcher = watch_folders(&options, sender);
    let mut first = true;
    loop {
        let target = Arc::clone(&snapshot);
        let looked = aside(move || {
            let next = scanner.scan();
            let changed = first || differs(&target.load(), &next);
            if changed {
                target.store(Arc::new(next));
            }
            (scanner, changed)
        });
        let Some((returned, changed)) = looked.await else {
            tracing::error!("the adapter loader died: adapters stay as they are until a restart");
            return;
        };
        (scanner, first) = (returned, false);
        if changed {
            changes.send_modify(|n| *n += 1);
        }
        wait_for_change(&mut events).await;
    }
}

/// Runs what computes for long on a thread of low priority, so that answers under way do not wait for it. A thread of its own,
/// because a priority once given up cannot be had back. None if it died.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, done) = oneshot::channel();
    let run = move || {
        // For Linux this thread alone, and the compiler's threads that it starts. Where it is refused, all goes on as it was.
        let _ = rustix::process::setpriority_process(None, NICE);
        // Nobody waits any more when the registry was dropped.
        let _ = sender.send(work());
    };
    std::thread::Builder::new().name("adapter-loader".into()).spawn(run).ok()?;
    done.await.ok()
}

/// Returns when the folders are worth another look.
async fn wait_for_change(events: &mut mpsc::Receiver<()>) {
    match tokio::time::timeout(LOOK_ANYWAY, events.recv()).await {
        Ok(Some(())) => while let Ok(Some(())) = tokio::time::timeout(SETTLED, events.recv()).await {},
        // No watcher could be made: only the regular look is left.
        Ok(None) => tokio::time::sleep(LOOK_ANYWAY).await,
        Err(_) => {}
    }
}

fn differs(old: &Snapshot, new: &Snapshot) -> bool {
    let generations = |s: &Snapshot| s.adapters.values().map(|a| a.generation).collect::<Vec<_>>();
    old.status != new.status || generations(old) != generations(new)
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
