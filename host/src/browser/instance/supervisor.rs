//! Starts a Chromium, watches it, and starts it again when it dies.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::InstanceState;
use super::keeper::{self, Keeper};
use super::live::Live;
use super::targets::Targets;
use crate::browser::cdp;
use crate::browser::launch::{LaunchError, LaunchOptions, Process, ProfileDir};
use crate::telemetry::metrics::{self, Restart};

const CONNECT_DEADLINE: Duration = Duration::from_secs(15);
/// A browser that closes gracefully takes well under a second, and longer on a slow disk.
const CLOSE_GRACE: Duration = Duration::from_secs(3);
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// A browser that served for so long was well: the next wait begins small again. Short, since one that is killed every half minute, by a
/// machine that is out of memory, say, serves best when it is back at once; one that crashes at its start never gets so far.
const WELL_AFTER: Duration = Duration::from_secs(10);
/// After so many starts in a row that failed, the state says so. It is still tried.
const FAILED_AFTER: u32 = 5;

/// Why a browser is no longer served.
enum Ended {
    /// As asked: closed gracefully already.
    Stopped,
    Died(String),
    /// As asked: closed gracefully, to be started again at once.
    Recycled,
}

pub(super) struct Supervisor {
    pub(super) name: String,
    pub(super) profile: ProfileDir,
    pub(super) launch: LaunchOptions,
    /// None: nobody keeps the session.
    pub(super) keeper: Option<Keeper>,
    pub(super) state: watch::Sender<InstanceState>,
    pub(super) live: watch::Sender<Option<Arc<Live>>>,
    pub(super) stop: CancellationToken,
    /// Somebody wants a fresh browser.
    pub(super) recycle: Arc<Notify>,
    pub(super) kill: CancellationToken,
}

impl Supervisor {
    pub(super) async fn run(mut self) {
        let mut attempt = 0;
        while !self.stop.is_cancelled() && !self.kill.is_cancelled() {
            let mut served = Duration::ZERO;
            let (reason, person) = match self.start().await {
                None => break,
                Some(Ok((process, live, targets))) => {
                    let ready = Instant::now();
                    let ended = self.serve(process, live, targets).await;
                    served = ready.elapsed();
                    match ended {
                        Ended::Stopped => break,
                        Ended::Recycled => continue,
                        Ended::Died(reason) => (reason, false),
                    }
                }
                Some(Err(error)) => {
                    metrics::browser_restarted(&self.name, Restart::Start);
                    (error.to_string(), error.needs_a_person())
                }
            };
            attempt = next_attempt(attempt, served);
            if !self.wait(attempt, reason, person).await {
                break;
            }
        }
        // The folder of a throwaway profile goes before the state says that all is over.
        let Self { profile, state, .. } = self;
        drop(profile);
        state.send_replace(InstanceState::Stopped);
    }

    /// None when it was stopped meanwhile.
    async fn start(&self) -> Option<Result<(Process, Arc<Live>, Targets), LaunchError>> {
        tokio::select! {
            () = self.stop.cancelled() => None,
            () = self.kill.cancelled() => None,
            result = self.try_start() => Some(result),
        }
    }

    async fn try_start(&self) -> Result<(Process, Arc<Live>, Targets), LaunchError> {
        let process = Process::start(&self.launch, self.profile.path()).await?;
        let failed = |error: cdp::CdpError| LaunchError::Connect(error.to_string());
        let socket = cdp::connect(&process.ws_url, CONNECT_DEADLINE).await.map_err(failed)?;
        let (live, targets) = Live::prepare(socket).await.map_err(failed)?;
        process.check_version(&live.version)?;
        Ok((process, live, targets))
    }

    /// Until the browser dies or is stopped; it is gone and reaped at the return.
    async fn serve(&mut self, mut process: Process, live: Arc<Live>, targets: Targets) -> Ended {
        let version = live.version.clone();
        tracing::info!(instance = self.name, version, pid = process.pid(), "the browser is ready");
        let mut targets = AbortOnDropHandle::new(tokio::spawn(targets.run()));
        let mut keeper = self.keeper.take();
        let resumed = tokio::select! {
            resumed = resume(keeper.as_mut(), &live) => resumed,
            () = self.stop.cancelled() => Err(Ended::Stopped),
            () = self.kill.cancelled() => Err(Ended::Died("dropped".into())),
            status = process.exited() => Err(Ended::Died(format!("the browser ended: {status}"))),
        };
        if let Err(ended) = resumed {
            // Nobody has seen this browser, and what it has is not what it should have: nothing of it is kept.
            self.keeper = keeper;
            let grace = if matches!(ended, Ended::Stopped) { CLOSE_GRACE } else { Duration::ZERO };
            live.close().await;
            process.end(grace).await;
            return ended;
        }
        let keeping = keeper.map(|keeper| keeper.start(Arc::clone(&live)));
        self.live.send_replace(Some(Arc::clone(&live)));
        self.state.send_replace(InstanceState::Ready { version, pid: process.pid() });
        metrics::browser_up(&self.name, true);
        let ended = tokio::select! {
            () = self.stop.cancelled() => Ended::Stopped,
            () = self.kill.cancelled() => Ended::Died("dropped".into()),
            () = self.recycle.notified() => Ended::Recycled,
            status = process.exited() => Ended::Died(format!("the browser ended: {status}")),
            _ = &mut targets => Ended::Died("the connection to the browser broke".into()),
            () = live.hang() => Ended::Died("the browser does not answer".into()),
        };
        self.live.send_replace(None);
        metrics::browser_up(&self.name, false);
        match &ended {
            Ended::Stopped => {
                close(keeping, &live, process).await;
            }
            Ended::Recycled => {
                let reason = "it is recycled to free memory".to_owned();
                self.state.send_replace(InstanceState::Restarting { attempt: 1, reason });
                tracing::info!(instance = self.name, "the browser is recycled");
                metrics::browser_restarted(&self.name, Restart::Recycled);
                self.keeper = close(keeping, &live, process).await;
            }
            Ended::Died(reason) => {
                metrics::browser_restarted(&self.name, Restart::Died);
                // Before the process is reaped: nobody shall take a dead browser for one that is ready.
                self.state.send_replace(InstanceState::Restarting { attempt: 1, reason: reason.clone() });
                let stderr = process.stderr_tail();
                tracing::warn!(instance = self.name, reason, stderr, "the browser is gone");
                process.end(Duration::ZERO).await;
                if let Some(keeping) = keeping {
                    self.keeper = keeping.give_up().await;
                }
            }
        }
        ended
    }

    /// Waits before the next start. False when it was stopped meanwhile.
    async fn wait(&self, attempt: u32, reason: String, person: bool) -> bool {
        tracing::warn!(instance = self.name, attempt, reason, "the browser is started again");
        let failed = person || attempt >= FAILED_AFTER;
        self.state.send_replace(if failed {
            InstanceState::Failed(reason)
        } else {
            InstanceState::Restarting { attempt, reason }
        });
        let wait = if person { LONGEST_WAIT } else { backoff(attempt, jitter()) };
        tokio::select! {
            () = self.stop.cancelled() => false,
            () = self.kill.cancelled() => false,
            () = tokio::time::sleep(wait) => true,
        }
    }
}

/// Closes a browser so that nothing is lost. Whoever kept its session can go on with the next one.
async fn close(keeping: Option<keeper::Running>, live: &Live, process: Process) -> Option<Keeper> {
    let mut keeper = match keeping {
        Some(keeping) => keeping.finish().await,
        None => None,
    };
    live.close().await;
    let in_order = process.end(CLOSE_GRACE).await;
    if in_order && let Some(keeper) = &mut keeper {
        keeper.closed().await;
    }
    keeper
}

/// Brings the session back before anybody has a page.
async fn resume(keeper: Option<&mut Keeper>, live: &Live) -> Result<(), Ended> {
    let Some(keeper) = keeper else { return Ok(()) };
    let failed = |error| Ended::Died(format!("the browser's session could not be brought back: {error}"));
    keeper.resume(live).await.map_err(failed)
}

/// The number of the next start, after one whose browser served for so long.
fn next_attempt(before: u32, served: Duration) -> u32 {
    if served > WELL_AFTER { 1 } else { before.saturating_add(1) }
}

/// Doubles with each attempt, up to half a minute, three quarters to five quarters of it by `jitter` (0 to 255), so that
/// several browsers that died together do not start together.
fn backoff(attempt: u32, jitter: u8) -> Duration {
    let doubled = FIRST_WAIT.saturating_mul(2u32.saturating_pow(attempt.saturating_sub(1).min(16)));
    doubled.min(LONGEST_WAIT).mul_f64(0.75 + 0.5 * f64::from(jitter) / 255.0)
}

fn jitter() -> u8 {
    let mut byte = [128];
    // Without randomness the middle will do.
    getrandom::fill(&mut byte).ok();
    byte[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Killed every half minute by a machine that is out of memory, it is back at once each time.
    #[test]
    fn one_that_served_is_started_at_once_again() {
        let after = |served: u64| (0..8).fold(0, |attempt, _| next_attempt(attempt, Duration::from_secs(served)));
        assert_eq!((after(30), after(11)), (1, 1));
        assert_eq!((after(0), after(5)), (8, 8), "crashes at its start");
    }

    #[test]
    fn waits_longer_each_time_up_to_a_bound() {
        assert_eq!(backoff(1, 0), Duration::from_millis(375));
        assert_eq!(backoff(1, 255), Duration::from_millis(625));
        assert!(backoff(3, 128) > backoff(2, 128));
        assert!(backoff(4_000_000, 255) <= LONGEST_WAIT.mul_f64(1.25));
    }
}
