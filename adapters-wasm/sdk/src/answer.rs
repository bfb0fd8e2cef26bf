//! Reads the one answer that belongs to a prompt.

use serde_json::Value;

use crate::data_uri::Data;
use crate::{
    Appetite, Condition, Ending, Event, EventBody, Failure, Filter, Finish, Outcome, Page, PageError, Reply,
    ResponseHead, Seconds, remaining,
};

/// Bytes of a body that is no answer: enough for any error message.
const MAX_REFUSAL: usize = 64 << 10;

/// What a site's bytes add to the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    Reasoning(String),
    Citation {
        url: String,
        title: String,
    },
    Progress(String),
    /// The site has rewritten its text and reasoning: what follows stands in their place.
    Restart,
    File(Data),
}

impl Piece {
    /// Every source that is named in this value: an object with `url` and `title`, however deep. In which lists sites keep them
    /// changes often, what one looks like does not.
    pub fn citations(value: &Value) -> Vec<Self> {
        let mut found = Vec::new();
        let mut open = vec![value];
        while let Some(value) = open.pop() {
            match value {
                Value::Array(items) => open.extend(items.iter().rev()),
                Value::Object(fields) => {
                    let text = |name: &str| Some(fields.get(name)?.as_str()?.to_owned());
                    match (text("url"), text("title")) {
                        (Some(url), Some(title)) => found.push(Self::Citation { url, title }),
                        _ => open.extend(fields.values().rev()),
                    }
                }
                _ => {}
            }
        }
        found
    }

    fn send(self, reply: &Reply) -> Appetite {
        match self {
            Self::Text(text) => reply.text(text),
            Self::Reasoning(text) => reply.reasoning(text),
            Self::Citation { url, title } => reply.citation(url, title),
            Self::Progress(text) => reply.progress(text),
            Self::File(file) => reply.media(&file.mime_type, &file.bytes),
            Self::Restart => {
                reply.restart();
                Appetite::More
            }
        }
    }
}

impl Filter {
    /// POST requests to this URL pattern, whatever the answer.
    pub fn post(url: &str) -> Self {
        Self { url: url.into(), method: Some("POST".into()), statuses: Vec::new(), content_types: Vec::new() }
    }

    /// Requests or WebSockets of this URL pattern, whatever the method and the answer.
    pub fn url(url: &str) -> Self {
        Self { url: url.into(), method: None, statuses: Vec::new(), content_types: Vec::new() }
    }
}

/// A site's wire format: what its bytes mean. It knows no page, so it can be tested without one.
pub trait Wire {
    /// Whether this is the answer, and not an error in its place.
    fn accepts(&self, head: &ResponseHead) -> bool {
        head.status == 200
    }

    /// Adds bytes of the streamed answer, cut anywhere.
    fn bytes(&mut self, bytes: &[u8]) -> Result<Vec<Piece>, Failure>;

    /// Adds a message of the WebSocket on which the answer may go on.
    fn message(&mut self, message: &str) -> Result<Vec<Piece>, Failure> {
        let _ = message;
        Ok(Vec::new())
    }

    /// The site's own end marker has come.
    fn is_over(&self) -> bool;

    /// The rest of the answer comes on the WebSocket.
    fn is_handed_off(&self) -> bool {
        false
    }

    /// How it ended, after the end marker or the last byte. A stream that broke off is a failure.
    fn end(&mut self) -> Result<Finish, Failure>;

    /// The site's id of the chat, if the wire tells.
    fn conversation(&self) -> Option<String> {
        None
    }

    /// The model that answered, if the wire tells.
    fn model(&self) -> Option<String> {
        None
    }

    /// What an error in the answer's place means.
    fn refused(&self, head: &ResponseHead, body: &[u8]) -> Failure;
}

/// An answer that is expected: make it before the prompt is sent.
#[derive(Debug)]
pub struct Answer<'p> {
    page: &'p Page,
    stop_button: &'p str,
    source: u32,
    socket: Option<u32>,
    alarms: Vec<(u32, Failure)>,
}

/// What is known of the request that answers.
#[derive(Default)]
struct Progress {
    /// The stream of the answer: the first request of the source. Others are not ours.
    stream: Option<u32>,
    /// The head and the body of what came in its place.
    refusal: Option<(ResponseHead, Vec<u8>)>,
}

impl<'p> Answer<'p> {
    /// The answer is the next request of the page that fits the filter.
    pub fn expect(page: &'p Page, filter: &Filter, stop_button: &'p str) -> Result<Self, PageError> {
        Ok(Self { source: page.listen(filter)?, page, stop_button, socket: None, alarms: Vec::new() })
    }

    /// It may go on in messages of a WebSocket that is opened from now on.
    pub fn or_on_socket(mut self, url: &str) -> Result<Self, PageError> {
        self.socket = Some(self.page.listen(&Filter::url(url))?);
        Ok(self)
    }

    /// Unless this shows first: then there will be none.
    pub fn unless(mut self, selector: &str, failure: Failure) -> Result<Self, PageError> {
        self.alarms.push((self.page.expect(&Condition::Visible(selector.into()))?, failure));
        Ok(self)
    }

    /// Reads it, and passes it on as it comes.
    ///
    /// # Errors
    /// With what the site says in the answer's place, or what the wire format makes of its end.
    pub fn read(self, reply: &Reply, wire: &mut impl Wire) -> Result<Outcome, Failure> {
        self.read_among(reply, wire, |_| {})
    }

    /// As [`read`](Self::read), and hands over every event that is not of the answer: what else the adapter listens to.
    ///
    /// # Errors
    /// As `read`.
    pub fn read_among(
        mut self,
        reply: &Reply,
        wire: &mut impl Wire,
        mut other: impl FnMut(Event),
    ) -> Result<Outcome, Failure> {
        let mut progress = Progress::default();
        while let Some(event) = self.page.next(remaining())? {
            if let Some(at) = self.alarms.iter().position(|(source, _)| *source == event.source) {
                if progress.stream.is_none() && matches!(event.body, EventBody::Reached) {
                    return Err(self.alarms.swap_remove(at).1);
                }
                continue;
            }
            if event.source != self.source && Some(event.source) != self.socket {
                other(event);
                continue;
            }
            let Some(pieces) = self.take(event, &mut progress, reply, wire)? else { return outcome(wire) };
            for piece in pieces {
                if piece.send(reply) == Appetite::Stop {
                    self.stop();
                    return Ok(named(Finish::Stop, wire));
                }
            }
            if wire.is_over() {
                return outcome(wire);
            }
        }
        Err(Failure::Timeout("the answer did not end".into()))
    }

    /// What an event adds; none when it ended the answer.
    fn take(
        &self,
        event: Event,
        progress: &mut Progress,
        reply: &Reply,
        wire: &mut impl Wire,
    ) -> Result<Option<Vec<Piece>>, Failure> {
        if Some(event.source) == self.socket {
            return match event.body {
                EventBody::Message(crate::Message::Text(text)) => wire.message(&text).map(Some),
                EventBody::End(_) | EventBody::Failed(_) if wire.is_handed_off() => Ok(None),
                _ => Ok(Some(Vec::new())),
            };
        }
        if *progress.stream.get_or_insert(event.stream) != event.stream {
            return Ok(Some(Vec::new()));
        }
        match (event.body, &mut progress.refusal) {
            (EventBody::Response(head), refusal) => {
                reply.accepted();
                if !wire.accepts(&head) {
                    *refusal = Some((head, Vec::new()));
                }
            }
            (EventBody::Bytes(bytes), None) => return wire.bytes(&bytes).map(Some),
            (EventBody::Bytes(bytes), Some((_, body))) => {
                body.extend(bytes.into_iter().take(MAX_REFUSAL - body.len().min(MAX_REFUSAL)));
            }
            (EventBody::End(_), Some((head, body))) => return Err(wire.refused(head, body)),
            (EventBody::End(Ending::Complete | Ending::Aborted), None) if !wire.is_handed_off() => return Ok(None),
            (EventBody::Failed(why), _) if !wire.is_handed_off() => {
                return Err(Failure::Upstream(format!("the connection to the site broke: {why}")));
            }
            _ => {}
        }
        Ok(Some(Vec::new()))
    }

    /// The caller has had enough. If the button is gone, the answer ended at the same moment.
    fn stop(&self) {
        self.page.step("stop the answer");
        if let Err(e) = self.page.within(Seconds(1), |page| page.click(self.stop_button)) {
            crate::debug!("the stop button was not pressed: {e:?}");
        }
    }
}

fn outcome(wire: &mut impl Wire) -> Result<Outcome, Failure> {
    let finish = wire.end()?;
    Ok(named(finish, wire))
}

fn named(finish: Finish, wire: &impl Wire) -> Outcome {
    Outcome::new(finish).with_conversation(wire.conversation()).with_model(wire.model())
}
