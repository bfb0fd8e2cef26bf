//! What `serve` says when it listens: at most ten lines.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use crate::store::AdminKey;

/// `key` is the one in the data folder, if that is the one in force. It is shown once, when it has just been made.
pub(super) fn text(address: SocketAddr, key: Option<&AdminKey>, folder: &Path) -> String {
    let file = folder.join("admin-key");
    let host = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.to_string(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
        ip => ip.to_string(),
    };
    let url = format!("http://{host}:{}", address.port());
    let shown = match key {
        Some(key) if key.is_new => format!("{} (shown this once; kept in {})", key.key, file.display()),
        Some(_) => format!("in {} (`webai2api key show`)", file.display()),
        None => "the one that you configured".to_owned(),
    };
    // Works as printed, without the key's standing in a log at every start.
    let token = match key {
        Some(_) => format!("$(cat '{}')", file.display()),
        None => "$AUTH_TOKEN".to_owned(),
    };
    let body = r#"{"model":"demo/echo","stream":true,"messages":[{"role":"user","content":"Hello"}]}"#;
    format!(
        "webai2api {}\n  status  {url}/\n  key     {shown}\n  try     curl -N {url}/v1/chat/completions -H \
         'Content-Type: application/json' -H \"Authorization: Bearer {token}\" -d '{body}'",
        env!("CARGO_PKG_VERSION")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_short_and_shows_the_key_once() {
        let address = "0.0.0.0:3000".parse().unwrap();
        let new = AdminKey { key: "wa-abc".into(), is_new: true };
        let first = text(address, Some(&new), Path::new("/d"));
        assert!(first.lines().count() <= 10 && first.contains("wa-abc") && first.contains("http://127.0.0.1:3000/"));
        let again = text(address, Some(&AdminKey { is_new: false, ..new }), Path::new("/d"));
        assert!(!again.contains("wa-abc") && again.contains("$(cat '/d/admin-key')"));
    }
}
