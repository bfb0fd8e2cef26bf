//! Builds an author's project into one adapter file, or takes a file that is there.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::plugin::{PackageError, pack, read_manifest};

/// The folder of a project in which the adapter's file is put.
const OUT: &str = "dist";
const TARGET: &str = "wasm32-unknown-unknown";
const MANIFEST: &str = "adapter.toml";

/// Why there is no adapter file.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("{path}: {message}")]
    File { path: String, message: String },
    #[error("{0} has no adapter.toml: name an adapter's folder or its .wasm file")]
    NoManifest(String),
    #[error("{0} has neither Cargo.toml nor package.json: name the .wasm file instead")]
    NoProject(String),
    #[error("{program} is not there: {cure}")]
    NoProgram { program: String, cure: &'static str },
    #[error("{command} failed:\n{output}")]
    Failed { command: String, output: String },
    #[error("the build made no {0}")]
    NoOutput(String),
    #[error("{path}: {source}")]
    Package { path: String, source: PackageError },
}

/// An adapter's file, and where its fixtures lie.
#[derive(Debug, Clone)]
pub struct Built {
    pub bytes: Vec<u8>,
    pub file: PathBuf,
    pub fixtures: PathBuf,
    pub id: String,
}

/// Takes a `.wasm` file as it is, or builds the project in a folder. Waits for the compiler.
///
/// # Errors
/// With the compiler's own words where it fails.
pub fn build(path: &Path) -> Result<Built, BuildError> {
    if path.is_dir() { project(path) } else { file(path) }
}

fn file(path: &Path) -> Result<Built, BuildError> {
    let bytes = read(path)?;
    let manifest = read_manifest(&bytes).map_err(|source| wrong(path, source))?;
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    // Beside the file, or beside the project whose `dist` it lies in.
    let beside = folder.join("fixtures");
    let fixtures = if beside.is_dir() { beside } else { folder.join("..").join("fixtures") };
    Ok(Built { bytes, file: path.to_owned(), fixtures, id: manifest.id })
}

fn project(folder: &Path) -> Result<Built, BuildError> {
    let place = folder.join(MANIFEST);
    if !place.is_file() {
        return Err(BuildError::NoManifest(folder.display().to_string()));
    }
    let manifest = String::from_utf8(read(&place)?)
        .map_err(|_| BuildError::File { path: place.display().to_string(), message: "it is not UTF-8 text".into() })?;
    let module = if folder.join("Cargo.toml").is_file() {
        rust(folder)?
    } else if folder.join("package.json").is_file() {
        script(folder)?
    } else {
        return Err(BuildError::NoProject(folder.display().to_string()));
    };
    let bytes = pack(&read(&module)?, &manifest).map_err(|source| wrong(&module, source))?;
    let id = read_manifest(&bytes).map_err(|source| wrong(&module, source))?.id;
    let out = folder.join(OUT);
    let file = out.join(format!("{id}.wasm"));
    let part = out.join(format!("{id}.part"));
    let failed =
        |error: std::io::Error| BuildError::File { path: file.display().to_string(), message: error.to_string() };
    std::fs::create_dir_all(&out).map_err(failed)?;
    std::fs::write(&part, &bytes).and_then(|()| std::fs::rename(&part, &file)).map_err(failed)?;
    Ok(Built { bytes, file, fixtures: folder.join("fixtures"), id })
}

/// What cargo tells of a crate that it has built.
#[derive(Deserialize)]
struct Artifact {
    reason: String,
    #[serde(default)]
    filenames: Vec<PathBuf>,
    #[serde(default)]
    manifest_path: PathBuf,
}

fn rust(folder: &Path) -> Result<PathBuf, BuildError> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(folder).args(["build", "--release", "--lib", "--target", TARGET]);
    cargo.args(["--message-format", "json-render-diagnostics"]);
    let output =
        output(cargo, "cargo build", "install Rust (rustup.rs), and `rustup target add wasm32-unknown-unknown`")?;
    let own = folder.join("Cargo.toml");
    let own = own.canonicalize().unwrap_or(own);
    let artifacts = output.lines().filter_map(|line| serde_json::from_str::<Artifact>(line).ok());
    let ours = artifacts.filter(|artifact| artifact.reason == "compiler-artifact" && artifact.manifest_path == own);
    let wasm = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "wasm");
    ours.flat_map(|artifact| artifact.filenames)
        .find(wasm)
        .ok_or_else(|| BuildError::NoOutput(".wasm file: Cargo.toml needs [lib] crate-type = [\"cdylib\"]".into()))
}

fn script(folder: &Path) -> Result<PathBuf, BuildError> {
    const NODE: &str = "install Node.js 20 or later";
    if !folder.join("node_modules").is_dir() {
        let mut install = Command::new("npm");
        install.current_dir(folder).args(["install", "--no-audit", "--no-fund"]);
        output(install, "npm install", NODE)?;
    }
    let mut run = Command::new("npm");
    run.current_dir(folder).args(["run", "--silent", "build"]);
    output(run, "npm run build", NODE)?;
    let made = folder.join(OUT).join("component.wasm");
    if made.is_file() { Ok(made) } else { Err(BuildError::NoOutput(made.display().to_string())) }
}

/// Runs a command to its end; what it printed.
fn output(mut command: Command, name: &str, cure: &'static str) -> Result<String, BuildError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|_| BuildError::NoProgram { program, cure })?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(stdout);
    }
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    // cargo's own JSON is of no use to a person.
    let told = if errors.trim().is_empty() { stdout } else { errors };
    Err(BuildError::Failed { command: name.to_owned(), output: told })
}

fn read(path: &Path) -> Result<Vec<u8>, BuildError> {
    std::fs::read(path)
        .map_err(|error| BuildError::File { path: path.display().to_string(), message: error.to_string() })
}

fn wrong(path: &Path, source: PackageError) -> BuildError {
    BuildError::Package { path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_project_is_told() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(build(folder.path()), Err(BuildError::NoManifest(_))));
        std::fs::write(folder.path().join(MANIFEST), "").unwrap();
        assert!(matches!(build(folder.path()), Err(BuildError::NoProject(_))));
        assert!(matches!(build(&folder.path().join("a.wasm")), Err(BuildError::File { .. })));
    }
}
