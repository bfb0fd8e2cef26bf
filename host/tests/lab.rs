//! Adapters of real chat applications, installed and started here: `scripts/setup` and `scripts/lab` say what they are.

mod app;
mod backend;
mod llama_cpp;
mod open_webui;
