//! One request that somebody listens to, from its sending to its end.
//!
//! Its bytes come by one of two ways. As a rule the stream is *armed* as soon as the request is sent: Chromium answers with
//! what it holds already, and from then on every `dataReceived` carries its bytes. That answer and the events come from
//! different processes and overtake each other, so that what comes before the answer waits for it. Where Chromium refuses,
//! because the request is over, the body is fetched in one go.

use bytes::Bytes;

use super::super::event::{Ending, EventBody, ResponseHead};
use super::rule::{Match, tell};
use super::{Effect, body, headers, wire};

/// What may wait here, in bytes, for the head of an answer or for the reply to the arming command.
const MAX_HELD: usize = 4 << 20;

/// What the owner of an exchange has to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Wait,
    /// Ask for the stream.
    Arm,
    /// Ask for the whole body.
    Fetch,
    /// Forget it.
    Over,
}

#[derive(Debug)]
enum Carrier {
    /// The stream was asked for. What came since waits, since what the reply brings is older; `unarmed` counts bytes of
    /// which only the length was told: the reply must bring them.
    Arming {
        early: Vec<Bytes>,
        size: usize,
        unarmed: u64,
    },
    Live,
    /// The stream was refused: the body is fetched when it is complete. `early`: before the answer began, so that it is worth
    /// asking again.
    Refused {
        early: bool,
    },
    Fetching,
    Fetched,
}

#[derive(Debug, Clone)]
enum End {
    Complete,
    Aborted,
    Failed(String),
}

/// An answer's head.
#[derive(Debug, Default)]
enum Head {
    #[default]
    Awaited,
    Told,
}

#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) url: String,
    pub(super) method: String,
    pub(super) frame: Option<String>,
    pub(super) loader: Option<String>,
    /// Empty for a request that nobody asked for: a redirect may yet lead it to where somebody listens.
    pub(super) matches: Vec<Match>,
    /// Headers as they came over the wire: more than the renderer is told.
    pub(super) raw: Option<(u16, Vec<(String, String)>)>,
    content_type: String,
    head: Head,
    carrier: Carrier,
    held: Vec<Bytes>,
    held_size: usize,
    end: Option<End>,
}

impl Exchange {
    pub(super) fn new(url: &str, method: &str) -> Self {
        Self {
            url: url.to_owned(),
            method: method.to_owned(),
            frame: None,
            loader: None,
            matches: Vec::new(),
            raw: None,
            content_type: String::new(),
            head: Head::Awaited,
            carrier: Carrier::Arming { early: Vec::new(), size: 0, unarmed: 0 },
            held: Vec::new(),
            held_size: 0,
            end: None,
        }
    }

    /// The answer has begun: now the filters know all that they ask for.
    pub(super) fn answered(&mut self, response: &wire::Response<'_>, out: &mut Vec<Effect>) -> Next {
        if matches!(self.head, Head::Told) {
            return Next::Wait;
        }
        let mut fields = response.headers.map(headers::clean).unwrap_or_default();
        if let Some((status, raw)) = self.raw.take()
            && status == response.status
        {
            fields = raw;
        }
        let declared = fields.iter().find(|(name, _)| name == "content-type").map(|(_, value)| value.as_str());
        self.content_type = declared.or(response.mime_type).unwrap_or_default().to_owned();
        self.matches.retain(|m| m.rule.wants_answer(response.status, &self.content_type));
        if self.matches.is_empty() {
            return Next::Over;
        }
        let url = response.url.filter(|url| !url.is_empty()).unwrap_or(&self.url).to_owned();
        let head = ResponseHead { url, method: self.method.clone(), status: response.status, headers: fields };
        self.head = Head::Told;
        tell(&self.matches, &EventBody::Response(head), out);
        self.held_size = 0;
        for bytes in std::mem::take(&mut self.held) {
            self.emit(bytes, out);
        }
        // A document's request is sent by another process than the one that answers; now the latter knows it.
        if matches!(self.carrier, Carrier::Refused { early: true }) && self.end.is_none() {
            self.carrier = Carrier::Arming { early: Vec::new(), size: 0, unarmed: 0 };
            return Next::Arm;
        }
        self.settle(out)
    }

    pub(super) fn data(&mut self, data: &wire::Data<'_>, out: &mut Vec<Effect>) -> Next {
        let bytes = match data.data.map(body::from_base64).transpose() {
            Ok(bytes) => bytes.unwrap_or_default(),
            Err(why) => return self.fail(why, out),
        };
        match &mut self.carrier {
            Carrier::Arming { early, size, unarmed } => {
                if bytes.is_empty() {
                    *unarmed = unarmed.saturating_add(data.data_length);
                } else {
                    *size += bytes.len();
                    early.push(bytes);
                }
                if *size > MAX_HELD {
                    return self.fail("too much came before the stream was granted".into(), out);
                }
                Next::Wait
            }
            Carrier::Live => {
                self.emit(bytes, out);
                self.check_held(out)
            }
            Carrier::Refused { .. } | Carrier::Fetching | Carrier::Fetched => Next::Wait,
        }
    }

    /// The reply to the arming command.
    pub(super) fn armed(&mut self, buffered: Result<Bytes, String>, out: &mut Vec<Effect>) -> Next {
        let Carrier::Arming { early, unarmed, .. } = &mut self.carrier else { return Next::Wait };
        let (early, unarmed) = (std::mem::take(early), *unarmed);
        match buffered {
            // Of a synchronous request, which is over by then, and of what no longer fitted its buffer, Chromium grants a stream
            // without its first bytes. Nothing was told yet, so that the whole can still be fetched.
            Ok(buffered) if (buffered.len() as u64) < unarmed => {
                self.carrier = Carrier::Refused { early: false };
                self.settle(out)
            }
            Ok(buffered) => {
                self.carrier = Carrier::Live;
                self.emit(buffered, out);
                for bytes in early {
                    self.emit(bytes, out);
                }
                match self.check_held(out) {
                    Next::Wait => self.settle(out),
                    next => next,
                }
            }
            Err(why) => {
                tracing::trace!(why, url = self.url, "a stream was refused; its body will be fetched");
                self.carrier = Carrier::Refused { early: matches!(self.head, Head::Awaited) };
                self.settle(out)
            }
        }
    }

    /// The reply to the request for the whole body.
    pub(super) fn fetched(&mut self, reply: Result<wire::Body<'_>, String>, out: &mut Vec<Effect>) -> Next {
        if !matches!(self.carrier, Carrier::Fetching) {
            return Next::Wait;
        }
        let bytes = reply.and_then(|reply| {
            if reply.base64_encoded {
                body::from_base64(reply.body)
            } else {
                Ok(body::from_text(reply.body, &self.content_type))
            }
        });
        match (bytes, &self.end) {
            (Ok(bytes), _) => {
                self.carrier = Carrier::Fetched;
                self.emit(bytes, out);
                self.settle(out)
            }
            (Err(_), Some(End::Failed(why))) => self.fail(why.clone(), out),
            (Err(why), _) => self.fail(format!("its bytes were no longer to be had: {why}"), out),
        }
    }

    pub(super) fn finished(&mut self, out: &mut Vec<Effect>) -> Next {
        self.ended(End::Complete, out)
    }

    /// The page gave it up.
    pub(super) fn aborted(&mut self, out: &mut Vec<Effect>) -> Next {
        self.ended(End::Aborted, out)
    }

    pub(super) fn broken(&mut self, failure: &wire::LoadingFailed<'_>, out: &mut Vec<Effect>) -> Next {
        let text = failure.error_text.unwrap_or_default();
        // A page cancels its reader after the site's end marker: that is how most streams end, and no failure.
        let end = match failure.blocked_reason {
            Some(reason) => End::Failed(format!("blocked: {reason}")),
            None if failure.canceled || text == "net::ERR_ABORTED" => End::Aborted,
            None => End::Failed(if text.is_empty() { "failed".to_owned() } else { text.to_owned() }),
        };
        self.ended(end, out)
    }

    fn ended(&mut self, end: End, out: &mut Vec<Effect>) -> Next {
        self.end.get_or_insert(end);
        self.settle(out)
    }

    /// Ends it for good, whatever else may come.
    pub(super) fn fail(&mut self, why: String, out: &mut Vec<Effect>) -> Next {
        tell(&self.matches, &EventBody::Failed(why), out);
        self.matches.clear();
        Next::Over
    }

    /// The session is gone: no reply will come, so that what waits is all there is.
    pub(super) fn orphaned(&mut self, out: &mut Vec<Effect>) {
        if let Carrier::Arming { early, unarmed, .. } = &mut self.carrier {
            if early.is_empty() && *unarmed == 0 {
                self.carrier = Carrier::Live;
            } else {
                self.fail("its first bytes were lost when its document went away".into(), out);
                return;
            }
        }
        if matches!(self.carrier, Carrier::Refused { .. } | Carrier::Fetching) {
            self.fail("its document went away".into(), out);
            return;
        }
        self.aborted(out);
    }

    fn emit(&mut self, bytes: Bytes, out: &mut Vec<Effect>) {
        if matches!(self.head, Head::Told) {
            for piece in body::pieces(bytes) {
                tell(&self.matches, &piece, out);
            }
        } else if !bytes.is_empty() {
            self.held_size += bytes.len();
            self.held.push(bytes);
        }
    }

    fn check_held(&mut self, out: &mut Vec<Effect>) -> Next {
        if self.held_size > MAX_HELD {
            return self.fail("too much came before the head of the answer".into(), out);
        }
        Next::Wait
    }

    /// Tells the end once nothing before it is outstanding.
    fn settle(&mut self, out: &mut Vec<Effect>) -> Next {
        let Some(end) = &self.end else { return Next::Wait };
        match self.carrier {
            Carrier::Arming { .. } | Carrier::Fetching => return Next::Wait,
            // Nothing is to be had of a request that never had an answer.
            Carrier::Refused { .. } if matches!(self.head, Head::Told) => {
                self.carrier = Carrier::Fetching;
                return Next::Fetch;
            }
            Carrier::Refused { .. } | Carrier::Live | Carrier::Fetched => {}
        }
        let body = match (end, &self.head) {
            (End::Failed(why), _) => EventBody::Failed(why.clone()),
            (End::Aborted, _) => EventBody::End(Ending::Aborted),
            (End::Complete, Head::Told) => EventBody::End(Ending::Complete),
            (End::Complete, Head::Awaited) => EventBody::Failed("it ended without an answer".into()),
        };
        tell(&self.matches, &body, out);
        Next::Over
    }
}
