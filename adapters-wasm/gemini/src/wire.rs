//! The site's wire format: frames of rows; a row of the answer holds, as JSON in JSON, the whole answer so far.

mod text;

use serde_json::Value;
use webai_adapter::length_frames::Parser;
use webai_adapter::snapshot::{Change, Snapshot};
use webai_adapter::{Failure, Finish, Missing, Piece, ResponseHead, Wire, signs};

/// The row of an answer.
const ANSWER: &str = "wrb.fr";
/// Of a candidate that is whole.
const COMPLETE: u64 = 2;

/// An answer as far as it has come.
#[derive(Default)]
pub(crate) struct Stream {
    frames: Parser,
    text: Snapshot,
    thoughts: Snapshot,
    conversation: Option<String>,
    failure: Option<Failure>,
    /// The site says that this is all of it.
    complete: bool,
    /// The site has kept it; nothing of use comes after.
    over: bool,
}

impl Wire for Stream {
    fn bytes(&mut self, bytes: &[u8]) -> Result<Vec<Piece>, Failure> {
        let frames = self.frames.push(bytes).map_err(|error| changed(&error.to_string()))?;
        let mut pieces = Vec::new();
        for frame in frames {
            let rows: Vec<Value> = serde_json::from_str(&frame).map_err(|error| changed(&error.to_string()))?;
            for row in rows.iter().filter(|row| row.get(0).and_then(Value::as_str) == Some(ANSWER)) {
                self.row(row, &mut pieces)?;
            }
        }
        Ok(pieces)
    }

    fn is_over(&self) -> bool {
        self.over || self.failure.is_some()
    }

    fn end(&mut self) -> Result<Finish, Failure> {
        match self.failure.take() {
            Some(failure) => Err(failure),
            None if self.complete || self.over => Ok(Finish::Stop),
            None => Err(Failure::Upstream("Gemini broke the answer off".into())),
        }
    }

    fn conversation(&self) -> Option<String> {
        self.conversation.clone()
    }

    fn refused(&self, head: &ResponseHead, body: &[u8]) -> Failure {
        refused(head.status, body)
    }
}

impl Stream {
    fn row(&mut self, row: &Value, pieces: &mut Vec<Piece>) -> Result<(), Failure> {
        if let Some(code) = row.pointer("/5/2/0/1/0").and_then(Value::as_u64) {
            self.failure = Some(failure(code));
        }
        let Some(payload) = row.get(2).and_then(Value::as_str) else { return Ok(()) };
        let payload: Value = serde_json::from_str(payload).map_err(|error| changed(&error.to_string()))?;
        if let Some(id) = payload.pointer("/1/0").and_then(Value::as_str) {
            self.conversation = Some(id.strip_prefix("c_").unwrap_or(id).to_owned());
        }
        if let Some(candidate) = payload.pointer("/4/0") {
            self.candidate(candidate, pieces);
        }
        self.over |= payload.get(25).is_some_and(Value::is_string);
        Ok(())
    }

    fn candidate(&mut self, candidate: &Value, pieces: &mut Vec<Piece>) {
        let string = |pointer: &str| candidate.pointer(pointer).and_then(Value::as_str);
        self.complete |= candidate.pointer("/8/0").and_then(Value::as_u64) == Some(COMPLETE);
        let thoughts = string("/37/0/0").unwrap_or(self.thoughts.text()).to_owned();
        // A card has its text elsewhere.
        let text = match string("/1/0") {
            Some(text) if text::is_card(text) => string("/22/0"),
            text => text,
        };
        let text = text.map(|text| text::readable(text, self.complete));
        let text = text.unwrap_or_else(|| self.text.text().to_owned());
        match (self.thoughts.take(&thoughts), self.text.take(&text)) {
            (Change::Rewritten(_), _) | (_, Change::Rewritten(_)) => {
                pieces.push(Piece::Restart);
                pieces.extend(said(Piece::Reasoning, &thoughts).into_iter().chain(said(Piece::Text, &text)));
            }
            (thoughts, text) => {
                pieces.extend(grown(Piece::Reasoning, thoughts));
                pieces.extend(grown(Piece::Text, text));
            }
        }
    }
}

fn said(piece: fn(String) -> Piece, text: &str) -> Option<Piece> {
    (!text.is_empty()).then(|| piece(text.to_owned()))
}

fn grown(piece: fn(String) -> Piece, change: Change<'_>) -> Option<Piece> {
    if let Change::Grew(more) = change { said(piece, more) } else { None }
}

fn changed(why: &str) -> Failure {
    Failure::SiteChanged(Missing { step: "read the answer".into(), selector: format!("a known frame: {why}") })
}

/// The site's own codes, as those who watch its wire have found them.
fn failure(code: u64) -> Failure {
    match code {
        1013 => Failure::Upstream("Gemini had an error of a moment (1013)".into()),
        1037 => Failure::quota_exhausted("the account's limit of this model is reached (1037)", None),
        1050 => Failure::ModelUnavailable("this model does not go with the conversation (1050)".into()),
        1052 => Failure::ModelUnavailable("the account does not have this model now (1052)".into()),
        1060 => Failure::Upstream("Gemini does not serve this network or country (1060)".into()),
        code => Failure::Upstream(format!("Gemini answered with its code {code}")),
    }
}

fn refused(status: u16, body: &[u8]) -> Failure {
    if signs::is_challenge(body) {
        return Failure::Challenge("Google wants a person".into());
    }
    match status {
        401 | 403 => Failure::LoginRequired("nobody is signed in to Gemini any more".into()),
        429 => Failure::rate_limited("Gemini takes no more requests for now", None),
        status => Failure::Upstream(format!("Gemini answered with status {status}")),
    }
}

#[cfg(test)]
mod tests;
