//! What the tests with a real Chromium share: sites of their own, and instances that see nothing else.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Host, OriginalUri, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
use url::Url;
use webai2api::browser::{Instance, InstanceOptions, InstanceState, LaunchOptions, Origin, Page, PageSpec, Profile};

/// Long, because the machine may be busy. Nothing waits for it when all is well.
pub const PATIENCE: Duration = Duration::from_secs(60);
