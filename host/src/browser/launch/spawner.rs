//! The one thread that starts children.
//!
//! A child is started through `setpriv --pdeathsig KILL`, so that the kernel ends it with us however we end. That signal
//! follows the *thread* that forked, not the process: a child of a runtime's worker thread would die with an idle worker.
//! Hence one thread, which lives as long as the program.

use std::io;
use std::path::Path;
use std::process::Output;
use std::sync::OnceLock;
use std::sync::mpsc::{SyncSender, sync_channel};

use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

type Work = Box<dyn FnOnce() + Send>;

/// Starts that may wait for the thread. A start takes about a millisecond.
const WAITING: usize = 64;

fn thread() -> Option<&'static SyncSender<Work>> {
    static THREAD: OnceLock<Option<SyncSender<Work>>> = OnceLock::new();
    THREAD
        .get_or_init(|| {
            let (sender, receiver) = sync_channel::<Work>(WAITING);
            let thread = std::thread::Builder::new().name("children".into());
            thread.spawn(move || receiver.into_iter().for_each(|work| work())).ok().map(|_| sender)
        })
        .as_ref()
}

/// Starts a child on the thread that lives as long as the program.
pub(super) async fn spawn(mut command: Command) -> io::Result<Child> {
    let (sender, receiver) = oneshot::channel();
    let runtime = Handle::current();
    let work: Work = Box::new(move || {
        let _entered = runtime.enter();
        // Nobody waits any more: dropping the child kills it, as `kill_on_drop` is set.
        drop(sender.send(command.spawn()));
    });
    let thread = thread().ok_or_else(|| io::Error::other("no thread for child processes"))?;
    thread.try_send(work).map_err(|_| io::Error::other("too many processes are being started"))?;
    receiver.await.map_err(|_| io::Error::other("the thread for child processes is gone"))?
}

/// Runs a short command to its end.
pub(super) async fn output(mut command: Command) -> io::Result<Output> {
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    spawn(command).await?.wait_with_output().await
}

/// A command whose process ends with this one, where the system has `setpriv` (util-linux).
pub(super) fn tied(program: &Path) -> Command {
    let setpriv = ["/usr/bin/setpriv", "/bin/setpriv"].into_iter().find(|path| Path::new(path).is_file());
    match setpriv {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL", "--"]).arg(program);
            command
        }
        None => {
            tracing::warn!("setpriv (util-linux) is missing: a browser may outlive this program if it is killed");
            Command::new(program)
        }
    }
}
