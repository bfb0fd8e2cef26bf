//! The log of the adapter that an author is at work on, for as long as he is.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;

use super::{Api, show};
use crate::cli::print;
use crate::plugin::Manifest;

/// Between two tries while there is no server, or nothing of the adapter in it.
const PAUSE: Duration = Duration::from_secs(1);
/// Tries after which a trouble is worth a line: a new adapter is not there at once.
const PATIENCE: u32 = 5;

/// Prints what the adapter of a project logs from now on, while servers come and go. Does not end by itself.
pub(in crate::cli) async fn follow(api: Api, folder: PathBuf, json: bool) {
    let mut seen = None;
    let mut tries = 0;
    loop {
        match lines(&api, &folder, &mut seen).await {
            Ok(lines) => {
                tries = 0;
                for line in &lines {
                    print(&if json { line.to_string() } else { show::log_line(line) });
                }
            }
            Err(error) => {
                // Whatever comes next counts its lines from 1.
                seen = Some(0);
                tries += 1;
                if tries == PATIENCE {
                    print(&format!("no log yet: {error:#}"));
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// The lines after those that were seen, as soon as there are any; at first none, only where they end.
async fn lines(api: &Api, folder: &Path, seen: &mut Option<u64>) -> anyhow::Result<Vec<Value>> {
    let text = std::fs::read_to_string(folder.join("adapter.toml")).context("adapter.toml")?;
    let id = Manifest::parse(&text).context("adapter.toml")?.id;
    let path = match *seen {
        None => format!("/{id}/logs?lines=1"),
        Some(after) => format!("/{id}/logs?wait=20&lines=1000&after={after}"),
    };
    let mut answer = api.get(&path).await?;
    let Some(Value::Array(lines)) = answer.get_mut("lines").map(Value::take) else { return Ok(Vec::new()) };
    let last = lines.last().and_then(|line| line.get("number")?.as_u64());
    let first = seen.is_none();
    *seen = Some(last.or(*seen).unwrap_or(0));
    Ok(if first { Vec::new() } else { lines })
}
