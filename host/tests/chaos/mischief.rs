//! What goes wrong, one thing after the other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use super::{Dice, KEY};
use crate::support::site::Site;
use crate::support::{Server, guest, process};

/// The configuration; `variant` is what a reload changes.
pub(crate) fn config(variant: usize) -> String {
    let strategy = ["least_busy", "round_robin", "random", "sticky"][variant % 4];
    let third = ["", "\n      - {name: c, workers: [{name: five, type: demo}]}"][variant / 2 % 2];
    let conversations = ["continue", "new"][variant % 2];
    format!(
        "server: {{auth: {KEY}}}
adapters: {{crashes: 0, enabled: [second]}}
demo: {{listen: \"127.0.0.1:{{port}}\"}}
browser: {{hosts: {{second.localhost: \"127.0.0.1:{{port}}\"}}}}
queue: {{queueBuffer: 100}}
conversations: {{mode: {conversations}}}
deadlines: {{queue: 20s, navigate: 8s, submit: 8s, firstByte: 8s, idle: 6s, call: 20s, callMax: 40s}}
history: {{mode: full}}
backend:
  pool:
    strategy: {strategy}
    instances:
      - {{name: a, workers: [{{name: one, type: demo}}, {{name: two, type: demo}}, {{name: three, type: second}}]}}
      - {{name: b, workers: [{{name: four, type: merge, mergeTypes: [demo, second]}}]}}{third}
"
    )
}

/// What is done to the program.
pub(crate) struct Mischief<'a> {
    pub(crate) server: &'a Server,
    pub(crate) site: Site,
    pub(crate) disk: Option<Disk>,
    pub(crate) versions: Versions,
    pub(crate) bundled: PathBuf,
    pub(crate) port: u16,
    pub(crate) dice: Dice,
    pub(crate) done: BTreeMap<&'static str, u64>,
}

impl Mischief<'_> {
    pub(crate) async fn one(&mut self) {
        let what = match self.dice.roll(20) {
            0..6 => self.kill_a_tab(),
            6..8 => self.kill_a_browser(),
            8..12 => self.swap(),
            12..14 => self.cut_the_network().await,
            14..16 => self.fill_the_disk().await,
            16..19 => self.reload(),
            _ => self.reload_nonsense(),
        };
        *self.done.entry(what).or_default() += 1;
    }

    fn kill_a_tab(&mut self) -> &'static str {
        let tabs = process::renderers(self.server);
        if !tabs.is_empty() {
            process::kill(tabs[self.dice.roll(tabs.len() as u64) as usize]);
        }
        "tabs killed"
    }

    fn kill_a_browser(&mut self) -> &'static str {
        let browsers = process::browsers(self.server);
        if !browsers.is_empty() {
            process::kill(browsers[self.dice.roll(browsers.len() as u64) as usize]);
        }
        "browsers killed"
    }

    fn swap(&mut self) -> &'static str {
        let file = self.versions.next();
        std::fs::rename(file, self.bundled.join("demo.wasm")).unwrap();
        "adapters swapped"
    }

    async fn cut_the_network(&mut self) -> &'static str {
        let ms = 200 + self.dice.roll(1800);
        self.site.control(json!({ "outage_ms": ms })).await;
        tokio::time::sleep(Duration::from_millis(ms + 100)).await;
        "network outages"
    }

    async fn fill_the_disk(&mut self) -> &'static str {
        let Some(disk) = &self.disk else { return "disk not filled: only root can mount a small one" };
        disk.fill();
        tokio::time::sleep(Duration::from_millis(500 + self.dice.roll(1500))).await;
        disk.relieve();
        "disk filled"
    }

    fn reload(&mut self) -> &'static str {
        let variant = self.dice.roll(4) as usize;
        self.server.reload(&at_port(&config(variant), self.port));
        "configurations loaded"
    }

    fn reload_nonsense(&mut self) -> &'static str {
        self.server.reload("backend: {pool: {instances: [{name: ''}]}}");
        "bad configurations refused"
    }
}

pub(crate) fn at_port(config: &str, port: u16) -> String {
    config.replace("{port}", &port.to_string())
}

/// The demo's adapter under ever new versions.
pub(crate) struct Versions {
    scratch: tempfile::TempDir,
    count: u32,
}

impl Default for Versions {
    fn default() -> Self {
        Self { scratch: tempfile::tempdir().unwrap(), count: 0 }
    }
}

impl Versions {
    fn next(&mut self) -> PathBuf {
        self.count += 1;
        let manifest = include_str!("../../../adapters-wasm/demo/adapter.toml");
        let version = format!("version = \"0.1.{}\"", self.count);
        let file = self.scratch.path().join("next.wasm");
        let manifest = manifest.replacen("version = \"0.1.0\"", &version, 1);
        guest::pack(&guest::bundled("demo"), &manifest, &file);
        file
    }
}

/// A small disk in memory; gone when dropped.
pub(crate) struct Disk(PathBuf);

impl Disk {
    /// None where this user may not mount one.
    pub(crate) fn mount(at: &Path) -> Option<Self> {
        let mut mount = Command::new("mount");
        let done = mount.args(["-t", "tmpfs", "-o", "size=300m", "tmpfs"]).arg(at).output().ok()?;
        done.status.success().then(|| Self(at.to_owned()))
    }

    fn fill(&self) {
        // It ends when nothing more fits.
        let mut fill = Command::new("dd");
        fill.args(["if=/dev/zero", "bs=64k"]).arg(format!("of={}", self.filler().display()));
        drop(fill.output().unwrap());
    }

    fn relieve(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).output());
    }
}
