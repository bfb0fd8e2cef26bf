//! A scripted stream as the body of an answer, and what is noted of every stream.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures::Stream;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::script::Step;
use super::site::Site;

type Part = Result<Bytes, std::io::Error>;

/// Notes how one answer goes. That it was broken off is noted when it is dropped before its end.
#[derive(Debug)]
pub(super) struct Tap {
    site: Arc<Site>,
    index: usize,
    /// Tells this case's stream from one of the next that has its place.
    opened: Instant,
    over: bool,
}

impl Tap {
    pub(super) fn new(site: Arc<Site>, index: usize, opened: Instant) -> Self {
        Self { site, index, opened, over: false }
    }

    pub(super) fn sent(&self, bytes: usize) {
        self.change(|stream| {
            stream.last_sent = Some(Instant::now());
            stream.bytes += bytes;
        });
    }

    pub(super) fn complete(&mut self) {
        if !std::mem::replace(&mut self.over, true) {
            self.change(|stream| {
                stream.complete = true;
                stream.ended = Some(Instant::now());
            });
        }
    }

    fn change(&self, change: impl FnOnce(&mut super::seen::Stream)) {
        let opened = self.opened;
        self.site.seen.send_modify(|seen| {
            if let Some(stream) = seen.streams.get_mut(self.index).filter(|stream| stream.opened == opened) {
                change(stream);
            }
        });
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        if !self.over {
            self.change(|stream| stream.ended = Some(Instant::now()));
        }
    }
}

/// A body that is noted.
pub(super) fn tapped(body: Body, tap: Tap) -> Body {
    Body::from_stream(Tapped { inner: Inner::Body(body.into_data_stream()), tap, _task: None })
}

/// A body that the steps make.
pub(super) fn body(site: Arc<Site>, steps: Vec<Step>, least: Duration, tap: Tap) -> Body {
    // One place: a piece counts as sent when the connection has taken it.
    let (sender, receiver) = mpsc::channel(1);
    let task = tokio::spawn(async move { play(&site, &steps, least, &sender).await });
    Body::from_stream(Tapped { inner: Inner::Steps(receiver), tap, _task: Some(AbortOnDropHandle::new(task)) })
}

enum Inner {
    Body(BodyDataStream),
    Steps(mpsc::Receiver<Part>),
}

struct Tapped {
    inner: Inner,
    tap: Tap,
    _task: Option<AbortOnDropHandle<()>>,
}

impl Stream for Tapped {
    type Item = Part;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Part>> {
        let next = match &mut self.inner {
            Inner::Steps(receiver) => receiver.poll_recv(context),
            Inner::Body(body) => Pin::new(body).poll_next(context).map_err(std::io::Error::other),
        };
        match &next {
            Poll::Ready(Some(Ok(bytes))) => self.tap.sent(bytes.len()),
            Poll::Ready(None) => self.tap.complete(),
            _ => {}
        }
        next
    }
}

/// Carries the steps out until they end or nobody reads any more.
async fn play(site: &Site, steps: &[Step], least: Duration, sender: &mpsc::Sender<Part>) {
    for step in steps {
        match step {
            Step::Send { chunks, pause } => {
                for piece in chunks.pieces(|text| site.fill(text)) {
                    if sender.send(Ok(piece.bytes)).await.is_err() {
                        return;
                    }
                    if piece.pause {
                        tokio::time::sleep((*pause).max(least)).await;
                    }
                }
            }
            Step::Abort => {
                let _ = sender.send(Err(std::io::Error::other("the replica breaks off"))).await;
                return;
            }
            step => wait(site, step).await,
        }
    }
}

/// The steps that send nothing.
pub(super) async fn wait(site: &Site, step: &Step) {
    match step {
        Step::WaitFor(time) => tokio::time::sleep(*time).await,
        Step::WaitSignal(name) => {
            let mut seen = site.seen.subscribe();
            // The site is there as long as its streams are.
            let _ = seen.wait_for(|seen| seen.signals.contains(name)).await;
        }
        Step::Signal(name) => site.seen.send_modify(|seen| {
            seen.signals.insert(name.clone());
        }),
        Step::Hang => std::future::pending().await,
        Step::Send { .. } | Step::Abort | Step::Receive(_) | Step::Close(_) => {}
    }
}
