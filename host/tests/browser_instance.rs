//! Starting, losing, restarting and stopping a real Chromium.

mod browser_support;

use browser_support::*;
use webai2api::browser::{CloseReason, Instance, InstanceState, PageError, Profile};

#[tokio::test]
async fn starts_and_stops() {
    let instance = Instance::spawn(options("test", Profile::Throwaway, None));
    assert_eq!(*instance.state().borrow(), InstanceState::Starting);
    let early = instance.open_page(spec()).await.map(|_| ());
    assert!(is_code(&early, "browser-not-ready"), "{early:?}");
    let (version, pid) = ready(&instance).await;
    assert!(version.contains("Chrome/"), "{version}");
    instance.stop().await;
    assert_eq!(*instance.state().borrow(), InstanceState::Stopped);
    assert!(!is_alive(pid));
}

#[tokio::test]
async fn a_killed_browser_is_started_again() {
    let site = Site::start(|_| html("hello")).await;
    let instance = instance(&site).await;
    let page = page(&instance).await;
    let mut closed = page.closed();
    let (_, pid) = ready(&instance).await;
    kill(pid);
    until(&instance, |state| matches!(state, InstanceState::Restarting { attempt: 1, .. })).await;
    let reason = tokio::time::timeout(PATIENCE, closed.wait_for(Option::is_some)).await.unwrap().unwrap().clone();
    assert_eq!(reason, Some(CloseReason::Gone));
    assert_eq!(page.url().await, Err(PageError::Closed));
    let (_, again) = ready(&instance).await;
    assert_ne!(pid, again);
    browser_support::page(&instance).await;
    instance.stop().await;
    assert!(!is_alive(again));
}
