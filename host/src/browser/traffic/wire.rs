//! The parts of Chromium's events that are used here, read leniently: whatever is not named may change or be absent.

use serde::Deserialize;
use serde_json::Value;

use super::super::cdp::Event;

/// An event in the form in which it is read.
pub(super) fn read<'a, T: Deserialize<'a>>(event: &'a Event) -> Result<T, String> {
    T::deserialize(&event.params).map_err(|error| format!("unreadable {}: {error}", event.method))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RequestSent<'a> {
    #[serde(borrow)]
    pub(super) request: Request<'a>,
    #[serde(default)]
    pub(super) loader_id: Option<&'a str>,
    #[serde(default)]
    pub(super) frame_id: Option<&'a str>,
    #[serde(default, rename = "documentURL")]
    pub(super) document_url: Option<&'a str>,
    #[serde(default, rename = "type")]
    pub(super) kind: Option<&'a str>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Request<'a> {
    pub(super) url: &'a str,
    pub(super) method: &'a str,
}

/// Whether this is the next hop of a request that was redirected, under the same number.
pub(super) fn is_redirect(event: &Event) -> bool {
    event.params.get("redirectResponse").is_some_and(Value::is_object)
}

#[derive(Debug, Deserialize)]
pub(super) struct ResponseReceived<'a> {
    #[serde(borrow)]
    pub(super) response: Response<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Response<'a> {
    /// Absent for a WebSocket.
    #[serde(default)]
    pub(super) url: Option<&'a str>,
    pub(super) status: u16,
    #[serde(default)]
    pub(super) mime_type: Option<&'a str>,
    /// Taken from the event by the reader, since a borrowed map would be a copy.
    #[serde(skip)]
    pub(super) headers: Option<&'a Value>,
}

/// The head of an answer; `response` is `Network.responseReceived` or a WebSocket's handshake.
pub(super) fn response(event: &Event) -> Result<Response<'_>, String> {
    let mut response = read::<ResponseReceived<'_>>(event)?.response;
    response.headers = event.params.get("response").and_then(|r| r.get("headers"));
    Ok(response)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExtraInfo {
    pub(super) status_code: u16,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Data<'a> {
    #[serde(default)]
    pub(super) data_length: u64,
    /// Base64; only for a request that is streamed.
    #[serde(default)]
    pub(super) data: Option<&'a str>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LoadingFailed<'a> {
    #[serde(default)]
    pub(super) error_text: Option<&'a str>,
    #[serde(default)]
    pub(super) canceled: bool,
    #[serde(default)]
    pub(super) blocked_reason: Option<&'a str>,
}

#[derive(Debug, Deserialize)]
pub(super) struct SocketCreated<'a> {
    pub(super) url: &'a str,
}

#[derive(Debug, Deserialize)]
pub(super) struct FrameReceived<'a> {
    #[serde(borrow)]
    pub(super) response: Message<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Message<'a> {
    pub(super) opcode: f64,
    pub(super) payload_data: &'a str,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FrameError<'a> {
    #[serde(default)]
    pub(super) error_message: Option<&'a str>,
}

#[derive(Debug, Deserialize)]
pub(super) struct FrameNavigated<'a> {
    #[serde(borrow)]
    pub(super) frame: Frame<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Frame<'a> {
    pub(super) id: &'a str,
    #[serde(default)]
    pub(super) loader_id: Option<&'a str>,
    #[serde(default)]
    pub(super) parent_id: Option<&'a str>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ContextCreated<'a> {
    #[serde(borrow)]
    pub(super) context: Context<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Context<'a> {
    pub(super) origin: &'a str,
    #[serde(borrow)]
    pub(super) aux_data: AuxData<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AuxData<'a> {
    pub(super) frame_id: &'a str,
    #[serde(default)]
    pub(super) is_default: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FrameDetached<'a> {
    pub(super) frame_id: &'a str,
    #[serde(default)]
    pub(super) reason: Option<&'a str>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Attached<'a> {
    pub(super) session_id: &'a str,
    #[serde(borrow)]
    pub(super) target_info: Target<'a>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Target<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'a str,
    #[serde(default)]
    pub(super) url: Option<&'a str>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Detached<'a> {
    pub(super) session_id: &'a str,
}

/// The answer to `Network.streamResourceContent`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Streaming<'a> {
    #[serde(default)]
    pub(super) buffered_data: Option<&'a str>,
}

/// The answer to `Network.getResponseBody`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Body<'a> {
    pub(super) body: &'a str,
    #[serde(default)]
    pub(super) base64_encoded: bool,
}
