//! A file that is written out in the JSON body of an answer: base64, or a data URL.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chromiumoxide::cdp::browser_protocol::network::GetResponseBodyParams;
use serde::Deserialize;
use serde_json::Value;

use super::super::world::Lenient;
use super::super::{COMMAND_DEADLINE, Shared};
use super::{SavedFile, failed};
use crate::browser::error::PageError;
use crate::browser::json::Pointer;
use crate::browser::media;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    body: String,
    #[serde(default)]
    base64_encoded: bool,
}

impl Shared {
    pub(super) async fn save_body(
        &self,
        source: u32,
        stream: u32,
        pointer: &Pointer,
        max: usize,
    ) -> Result<SavedFile, PageError> {
        let Some((session, request)) = self.capture.body_of(source, stream)? else {
            return Err(failed(format!("nothing was heard under {source} and {stream}")));
        };
        let ask = Lenient(GetResponseBodyParams::new(request));
        let answer = self.command_on(&self.session.child(&session), ask, COMMAND_DEADLINE).await;
        let answer = answer.map_err(|error| failed(format!("its body was no longer to be had: {error}")))?;
        let body: Body = serde_json::from_value(answer).map_err(|error| failed(error.to_string()))?;
        let text = match body.base64_encoded {
            true => STANDARD.decode(body.body).ok().and_then(|bytes| String::from_utf8(bytes).ok()),
            false => Some(body.body),
        };
        let json: Option<Value> = text.and_then(|text| serde_json::from_str(&text).ok());
        let json = json.ok_or_else(|| failed("its body is not JSON"))?;
        let found = pointer.find(&json).and_then(Value::as_str);
        let text = found.ok_or_else(|| failed(format!("there is no string at {pointer}")))?;
        let (declared, bytes) = media::written_out(text, max)?;
        Ok(SavedFile::new(&declared, bytes))
    }
}
