//! Which program is Chromium, and whether it is one that this program can drive.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::LaunchError;
use super::spawner;

/// The oldest Chromium that has what is used here (`Network.streamResourceContent`, the new headless mode).
pub const MIN_MAJOR: u32 = 126;

/// Names in the order of preference; the full browser before the headless shell, which cannot show a window.
const NAMES: [&str; 5] =
    ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chromium-headless-shell"];
/// Where packages put them. `PATH` is not consulted: what runs with an operator's accounts should not hang on it.
const FOLDERS: [&str; 4] = ["/usr/bin", "/usr/local/bin", "/snap/bin", "/opt/google/chrome"];

/// The Chromium to start.
///
/// # Errors
/// [`LaunchError::NotFound`] when the configured path is no file, or when none is configured and none is installed.
pub fn find(configured: Option<&Path>) -> Result<PathBuf, LaunchError> {
    if let Some(path) = configured {
        return if path.is_file() {
            Ok(path.to_owned())
        } else {
            Err(LaunchError::NotFound { looked: path.display().to_string() })
        };
    }
    let candidates = FOLDERS.iter().flat_map(|folder| NAMES.iter().map(move |name| Path::new(folder).join(name)));
    candidates
        .into_iter()
        .find(|path| path.is_file())
        .ok_or_else(|| LaunchError::NotFound { looked: NAMES.map(|name| format!("/usr/bin/{name}")).join(", ") })
}

/// Says why a program that did not start as a Chromium should is none, if that is why. Asked only after a failure: asking
/// first would cost every start a quarter of a second.
pub(super) async fn diagnose(path: &Path) -> Option<LaunchError> {
    let mut command = tokio::process::Command::new(path);
    command.arg("--version").stdin(std::process::Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(10), spawner::output(command)).await;
    let shown = path.display().to_string();
    let said = match output {
        Ok(Ok(output)) => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        Ok(Err(error)) => return Some(LaunchError::NotChromium { path: shown, why: error.to_string() }),
        Err(_) => return Some(LaunchError::NotChromium { path: shown, why: "no answer to --version".into() }),
    };
    match major(&said) {
        Some(_) => check(path, &said).err(),
        None => Some(LaunchError::NotChromium { path: shown, why: format!("--version says {said:?}") }),
    }
}

/// Refuses a version that is too old. `version` is what `--version` or `Browser.getVersion` says.
pub(super) fn check(path: &Path, version: &str) -> Result<(), LaunchError> {
    match major(version) {
        Some(major) if major >= MIN_MAJOR => Ok(()),
        _ => Err(LaunchError::TooOld { path: path.display().to_string(), found: version.to_owned() }),
    }
}

/// `156` of `Chromium 156.0.8078.79 built on ...` or `HeadlessChrome/156.0.0.0`.
fn major(version: &str) -> Option<u32> {
    let is_chromium = ["Chrom", "chrom"].iter().any(|name| version.contains(name));
    let numbers = version.split(|c: char| !c.is_ascii_digit() && c != '.');
    let dotted =
        numbers.into_iter().find(|part| part.contains('.') && part.starts_with(|c: char| c.is_ascii_digit()))?;
    is_chromium.then(|| dotted.split('.').next()?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_versions_as_chromium_writes_them() {
        assert_eq!(major("Chromium 156.0.8078.79 built on Debian GNU/Linux 12 (bookworm)"), Some(156));
        assert_eq!(major("HeadlessChrome/156.0.0.0"), Some(156));
        assert_eq!(major("Google Chrome 60.0.3112.113 "), Some(60));
        assert_eq!(major("Mozilla Firefox 140.0"), None);
        assert_eq!(major(""), None);
    }

    #[test]
    fn a_configured_path_is_not_replaced_by_another() {
        let error = find(Some(Path::new("/no/such/chromium"))).unwrap_err();
        assert_eq!(error, LaunchError::NotFound { looked: "/no/such/chromium".into() });
    }

    #[tokio::test]
    async fn says_what_a_wrong_program_is() {
        let Some(LaunchError::NotChromium { why, .. }) = diagnose(Path::new("/bin/echo")).await else {
            panic!("echo is no Chromium")
        };
        assert!(why.contains("version"), "{why}");
    }
}
