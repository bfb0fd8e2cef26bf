//! What of a new configuration cannot be taken over while the program runs.

use crate::config::{Adapters, Config, Server};

/// The sections that have changed and are read at a start only.
pub(super) fn later(old: &Config, new: &Config) -> Vec<&'static str> {
    let mut later = Vec::new();
    let mut add = |name, changed: bool| {
        if changed {
            later.push(name);
        }
    };
    add("server (but for its API keys)", without_keys(&old.server) != without_keys(&new.server));
    add("demo, adapters.dir and adapters.crashes", at_start(&old.adapters) != at_start(&new.adapters));
    add("queue.imageLimit", old.queue.image_limit != new.queue.image_limit);
    add("limits", old.limits != new.limits);
    add("accounts", old.accounts != new.accounts);
    add("log level, log format and data folder", old.log != new.log);
    later
}

fn without_keys(server: &Server) -> Server {
    Server { api_keys: Vec::new(), auth: None, ..server.clone() }
}

/// The others are taken over while the program runs.
fn at_start(adapters: &Adapters) -> Adapters {
    Adapters { pages: 0, enabled: Vec::new(), allow_unapproved: false, ..adapters.clone() }
}
