//! What a `listen` asks for, and who gets what it caught.

use std::sync::Arc;

use super::super::event::{EventBody, Filter, PageEvent};
use super::Effect;
use super::pattern::UrlPattern;

/// A compiled filter.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) url: UrlPattern,
    method: Option<String>,
    statuses: Vec<u16>,
    content_types: Vec<String>,
}

impl Rule {
    pub(super) fn new(filter: Filter) -> Option<Self> {
        Some(Self {
            url: UrlPattern::parse(&filter.url)?,
            method: filter.method,
            statuses: filter.statuses,
            content_types: filter.content_types.into_iter().map(|t| t.to_ascii_lowercase()).collect(),
        })
    }

    pub(super) fn wants_request(&self, method: &str, url: &str) -> bool {
        self.method.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method)) && self.url.matches(url)
    }

    pub(super) fn wants_answer(&self, status: u16, content_type: &str) -> bool {
        let content_type = content_type.to_ascii_lowercase();
        (self.statuses.is_empty() || self.statuses.contains(&status))
            && (self.content_types.is_empty() || self.content_types.iter().any(|t| content_type.starts_with(t)))
    }
}

/// One listen's share in a request: the numbers by which its events are told apart.
#[derive(Debug, Clone)]
pub(super) struct Match {
    pub(super) listen: u32,
    pub(super) stream: u32,
    pub(super) rule: Arc<Rule>,
}

impl Match {
    fn event(&self, body: EventBody) -> Effect {
        Effect::Deliver(PageEvent { source: self.listen, stream: self.stream, body })
    }
}

/// Tells the same to everyone who listens.
pub(super) fn tell(matches: &[Match], body: &EventBody, out: &mut Vec<Effect>) {
    out.extend(matches.iter().map(|m| m.event(body.clone())));
}
