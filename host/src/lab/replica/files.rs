//! The folder `fixtures/`: nothing outside it can be named.

use std::path::{Component, Path, PathBuf};

/// Larger than any file of a replica; the replica is held in memory for one run.
const FILE_MAX: u64 = 32 << 20;

/// The files of a replica.
#[derive(Debug, Clone)]
pub struct Files(PathBuf);

impl Files {
    pub fn new(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// # Errors
    /// A sentence that names the file.
    pub fn bytes(&self, name: &str) -> Result<Vec<u8>, String> {
        let inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !inside {
            return Err(format!("{name:?} leads out of the fixtures"));
        }
        let path = self.0.join(name);
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        let size = std::fs::metadata(&path).map_err(failed)?.len();
        if size > FILE_MAX {
            return Err(format!("{}: {size} bytes; at most {FILE_MAX} are served", path.display()));
        }
        std::fs::read(&path).map_err(failed)
    }

    /// # Errors
    /// As [`bytes`](Self::bytes), and where it is not UTF-8.
    pub fn text(&self, name: &str) -> Result<String, String> {
        String::from_utf8(self.bytes(name)?).map_err(|_| format!("{name} is not UTF-8 text"))
    }
}

/// The content type of a file by its ending.
pub fn content_type(name: &str) -> &'static str {
    match Path::new(name).extension().and_then(|e| e.to_str()).unwrap_or_default() {
        "html" | "htm" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "sse" => "text/event-stream; charset=utf-8",
        "txt" | "md" => "text/plain; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "pdf" => "application/pdf",
        "mp4" => "video/mp4",
        "wasm" => "application/wasm",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_is_read() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.txt"), "a").unwrap();
        let files = Files::new(folder.path());
        assert_eq!(files.text("./a.txt").unwrap(), "a");
        for name in ["../a.txt", "/etc/passwd", "x/../../a"] {
            assert!(files.bytes(name).unwrap_err().contains("leads out"), "{name}");
        }
    }
}
