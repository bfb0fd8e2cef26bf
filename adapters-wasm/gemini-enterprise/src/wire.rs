//! The site's wire format: one long JSON array, whose items add to the answer.

use serde::Deserialize;
use serde_json::Value;
use webai_adapter::array_items::Parser;
use webai_adapter::{Failure, Finish, Missing, Piece, ResponseHead, Wire, signs};

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Item {
    stream_assist_response: Response,
    error: Option<ApiError>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Response {
    answer: AnswerPart,
    session_info: Session,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Session {
    session: String,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct AnswerPart {
    state: String,
    replies: Vec<Answered>,
    assist_skipped_reasons: Vec<String>,
    customer_policy_enforcement_result: Value,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Answered {
    grounded_content: Grounded,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Grounded {
    content: Content,
    thought: bool,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Content {
    text: String,
    thought: bool,
    file: Option<File>,
}

#[derive(Deserialize)]
struct File {
    #[serde(rename = "fileId")]
    id: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ApiError {
    code: u16,
    status: String,
    message: String,
}

/// An answer as far as it has come.
#[derive(Default)]
pub(crate) struct Stream {
    items: Parser,
    state: String,
    session: Option<String>,
    files: Vec<String>,
    failure: Option<Failure>,
}

impl Stream {
    /// Ids of the pictures, in the answer's order.
    pub(crate) fn files(&self) -> &[String] {
        &self.files
    }

    fn answer(&mut self, answer: AnswerPart, pieces: &mut Vec<Piece>) {
        if let Some(reason) = answer.assist_skipped_reasons.first() {
            self.failure = Some(match violation(&answer.customer_policy_enforcement_result) {
                Some(words) => Failure::ContentBlocked(words),
                None => Failure::ContentBlocked(format!("Gemini Enterprise refused: {reason}")),
            });
        }
        for Answered { grounded_content: Grounded { content, thought } } in answer.replies {
            if !content.text.is_empty() {
                let piece = if thought || content.thought { Piece::Reasoning } else { Piece::Text };
                pieces.push(piece(content.text));
            }
            self.files.extend(content.file.map(|file| file.id));
        }
        if !answer.state.is_empty() {
            self.state = answer.state;
        }
    }
}

impl Wire for Stream {
    fn bytes(&mut self, bytes: &[u8]) -> Result<Vec<Piece>, Failure> {
        let items = self.items.push(bytes).map_err(|error| changed(&error.to_string()))?;
        let mut pieces = Vec::new();
        for item in items {
            let item: Item = serde_json::from_str(&item).map_err(|error| changed(&error.to_string()))?;
            if let Some(error) = item.error {
                self.failure = Some(failure(error));
            }
            let Response { answer, session_info: Session { session } } = item.stream_assist_response;
            if let Some((_, id)) = session.rsplit_once('/') {
                self.session = Some(id.to_owned());
            }
            self.answer(answer, &mut pieces);
        }
        Ok(pieces)
    }

    fn is_over(&self) -> bool {
        self.items.is_over()
    }

    fn end(&mut self) -> Result<Finish, Failure> {
        match (self.failure.take(), self.state.as_str()) {
            (Some(failure), _) => Err(failure),
            (None, "SUCCEEDED") => Ok(Finish::Stop),
            (None, _) => Err(Failure::Upstream("Gemini Enterprise broke the answer off".into())),
        }
    }

    fn conversation(&self) -> Option<String> {
        self.session.clone()
    }

    fn refused(&self, head: &ResponseHead, body: &[u8]) -> Failure {
        if signs::is_challenge(body) {
            return Failure::Challenge("Gemini Enterprise wants a person".into());
        }
        // An error comes as the array's only item, or alone.
        let error = serde_json::from_slice::<Vec<Item>>(body).ok().and_then(|items| items.into_iter().next());
        let error = error.or_else(|| serde_json::from_slice::<Item>(body).ok()).and_then(|item| item.error);
        failure(ApiError { code: head.status, ..error.unwrap_or_default() })
    }
}

/// What a customer's policy says against the prompt.
fn violation(result: &Value) -> Option<String> {
    let policies = result.get("policyResults")?.as_array()?;
    let words = policies.iter().find_map(|policy| policy.pointer("/modelArmorEnforcementResult/modelArmorViolation"));
    Some(words?.as_str()?.to_owned())
}

fn changed(why: &str) -> Failure {
    Failure::SiteChanged(Missing { step: "read the answer".into(), selector: format!("a known item: {why}") })
}

fn failure(error: ApiError) -> Failure {
    let ApiError { code, status, message } = error;
    match (code, status.as_str()) {
        // The page's pass lives for minutes only; the next visit to the page renews it.
        (401, _) | (_, "UNAUTHENTICATED") => Failure::LoginRequired("nobody is signed in any more".into()),
        (429, _) | (_, "RESOURCE_EXHAUSTED") => Failure::rate_limited(message, None),
        (400, _) | (_, "INVALID_ARGUMENT") => Failure::InvalidRequest(message),
        (404, _) | (_, "NOT_FOUND") => Failure::ModelUnavailable(message),
        (code, status) => Failure::Upstream(format!("Gemini Enterprise answered with {code} {status}: {message}")),
    }
}

#[cfg(test)]
mod tests;
