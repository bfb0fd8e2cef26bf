//! Calling the helper: a function of it, in one world, by value.

use std::time::Duration;

use chromiumoxide::cdp::browser_protocol::dom::DescribeNodeParams;
use chromiumoxide::cdp::js_protocol::runtime::{CallArgument, CallFunctionOnParams, ReleaseObjectParams};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Shared;
use super::world::{Lenient, World};
use crate::browser::cdp::{CdpError, Session};
use crate::browser::error::PageError;

/// Whether the document lies on one of `origins`. A document without an origin of its own, such as a sandboxed frame's, calls
/// it "null", which nothing grants.
const GRANTED: &str = r#"origins.some((o) => {
        const at = o.indexOf("://*.");
        return at < 0 ? self.origin === o : self.origin.startsWith(o.slice(0, at + 3)) && self.origin.endsWith(o.slice(at + 4));
    })"#;

/// Runs a function of the helper. Its first act is to look where it is: between a check here and a call there the document
/// could have changed, though not its origin within one context.
fn guarded_call() -> String {
    format!(
        "async function(origins, name, args) {{
    if (!({GRANTED})) return {{ denied: self.origin }};
    return {{ value: await webai[name](args) }};
}}"
    )
}

/// What a call came to.
pub(super) enum Called {
    Value(Value),
    /// The document was replaced before or during it.
    Gone,
}

impl Shared {
    /// Runs `webai.<function>(args)` in the main frame's world and returns what it resolves to. When the document is replaced
    /// meanwhile, it is run again in the next one, until `deadline`.
    ///
    /// # Errors
    /// [`PageError::OriginDenied`] where the document is not of `spec.page`; `Other { code: "script" }` when it throws.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        function: &str,
        args: Value,
        deadline: Duration,
    ) -> Result<T, PageError> {
        let until = Instant::now() + deadline;
        loop {
            let world = self.worlds.main(self, until).await?;
            let Called::Value(value) = self.call_in(&world, function, &args, until).await? else {
                self.worlds.gone_from(&world, until).await;
                if Instant::now() >= until {
                    return Err(PageError::Timeout(format!("{function}: the document keeps changing")));
                }
                continue;
            };
            return decode(function, value);
        }
    }

    /// The command that runs a function of the helper in one world.
    fn call_of(&self, world: &World, function: &str, args: &Value) -> CallFunctionOnParams {
        let origins: Vec<String> = self.spec.page.iter().map(ToString::to_string).collect();
        let argument = |value: Value| CallArgument { value: Some(value), unserializable_value: None, object_id: None };
        let mut call = CallFunctionOnParams::new(guarded_call());
        call.arguments = Some(vec![argument(json!(origins)), argument(json!(function)), argument(args.clone())]);
        call.unique_context_id = Some(world.id.clone());
        call.await_promise = Some(true);
        call.return_by_value = Some(true);
        call
    }

    pub(super) fn session_of(&self, world: &World) -> Session {
        self.session.child(&world.session)
    }

    /// Runs a function of the helper in one world, once, while the gate may be shut. None when that document is gone, or when
    /// it does not answer: Chromium hands nothing to a document that is about to be replaced.
    pub(super) async fn call_here<T: DeserializeOwned>(
        &self,
        world: &World,
        function: &str,
        args: &Value,
        deadline: Duration,
    ) -> Result<Option<T>, PageError> {
        let call = Lenient(self.call_of(world, function, args));
        let session = self.session_of(world);
        let answer = tokio::select! {
            biased;
            answer = self.raw_command(&session, call, deadline) => answer,
            () = self.gate.deadlock() => return Ok(None),
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(CdpError::Timeout { .. }) => return Ok(None),
            Err(error) if self.is_lost(world, &error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Called::Value(value) = read(function, answer)? else { return Ok(None) };
        decode(function, value).map(Some)
    }

    /// Runs a function of the helper in one world, and waits for nothing.
    pub(super) fn tell_in(&self, world: &World, function: &str, args: &Value) -> Result<(), CdpError> {
        self.session_of(world).tell(Lenient(self.call_of(world, function, args)))
    }

    /// Runs a function of the helper in one world.
    pub(super) async fn call_in(
        &self,
        world: &World,
        function: &str,
        args: &Value,
        until: Instant,
    ) -> Result<Called, PageError> {
        match self.carry_out(world, self.call_of(world, function, args), function, until).await? {
            Some(answer) => read(function, answer),
            None => Ok(Called::Gone),
        }
    }

    /// Whether a call failed because its document is no longer there.
    fn is_lost(&self, world: &World, error: &CdpError) -> bool {
        // A frame that went to another process, or away, has no session any more.
        let detached = matches!(error, CdpError::Closed) && world.session != self.session.id();
        is_gone(error) || (detached && !self.cancel.is_cancelled())
    }

    /// The frame whose element the helper keeps under this token; none when the document or the frame is gone.
    pub(super) async fn frame_behind(
        &self,
        world: &World,
        token: u64,
        until: Instant,
    ) -> Result<Option<String>, PageError> {
        let mut call = self.call_of(world, "kept", &json!({ "token": token }));
        // No promise and no copy: a handle of the element itself.
        call.function_declaration =
            format!("function(origins, name, args) {{ return ({GRANTED}) ? webai.kept(args) : null; }}");
        (call.return_by_value, call.await_promise) = (None, None);
        let Some(answer) = self.carry_out(world, call, "kept", until).await? else { return Ok(None) };
        let Some(object) = answer.pointer("/result/objectId").and_then(Value::as_str) else { return Ok(None) };
        let session = self.session_of(world);
        let describe = Lenient(DescribeNodeParams { object_id: Some(object.to_owned().into()), ..Default::default() });
        let described = self.raw_command(&session, describe, until.saturating_duration_since(Instant::now())).await;
        session.tell(ReleaseObjectParams::new(object.to_owned())).ok();
        match described {
            Ok(described) => Ok(described.pointer("/node/frameId").and_then(Value::as_str).map(str::to_owned)),
            Err(error) if self.is_lost(world, &error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The same with an element beside the arguments, as their `element`.
    pub(super) async fn call_with(
        &self,
        world: &World,
        function: &str,
        args: &Value,
        element: &str,
        until: Instant,
    ) -> Result<Called, PageError> {
        let mut call = self.call_of(world, function, args);
        call.function_declaration = format!(
            "async function(origins, name, args, element) {{
    if (!({GRANTED})) return {{ denied: self.origin }};
    return {{ value: await webai[name]({{ ...args, element }}) }};
}}"
        );
        let object =
            CallArgument { value: None, unserializable_value: None, object_id: Some(element.to_owned().into()) };
        call.arguments.get_or_insert_default().push(object);
        match self.carry_out(world, call, function, until).await? {
            Some(answer) => read(function, answer),
            None => Ok(Called::Gone),
        }
    }

    /// A call in a world; none when the document is no longer there.
    async fn carry_out(
        &self,
        world: &World,
        call: CallFunctionOnParams,
        what: &str,
        until: Instant,
    ) -> Result<Option<Value>, PageError> {
        let left = until.saturating_duration_since(Instant::now());
        match self.raw_command(&self.session_of(world), Lenient(call), left).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if self.is_lost(world, &error) => Ok(None),
            Err(CdpError::Timeout { .. }) => {
                self.prove_life().await;
                Err(PageError::Timeout(what.to_owned()))
            }
            Err(error) => Err(error.into()),
        }
    }
}

pub(super) fn decode<T: DeserializeOwned>(function: &str, value: Value) -> Result<T, PageError> {
    serde_json::from_value(value).map_err(|e| PageError::Other { code: "script", message: format!("{function}: {e}") })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    result: Remote,
    exception_details: Option<Exception>,
}

#[derive(Debug, Deserialize)]
struct Remote {
    #[serde(default)]
    value: Value,
}

#[derive(Debug, Deserialize)]
struct Exception {
    #[serde(default)]
    text: String,
    exception: Option<Described>,
}

#[derive(Debug, Deserialize)]
struct Described {
    description: Option<String>,
}

fn read(function: &str, answer: Value) -> Result<Called, PageError> {
    let script = |message: String| PageError::Other { code: "script", message: format!("{function}: {message}") };
    let answer: Answer = serde_json::from_value(answer).map_err(|e| script(e.to_string()))?;
    if let Some(exception) = answer.exception_details {
        let described = exception.exception.and_then(|e| e.description);
        return Err(script(described.unwrap_or(exception.text)));
    }
    let mut value = answer.result.value;
    if let Some(denied) = value.get("denied").and_then(Value::as_str) {
        return Err(PageError::OriginDenied(denied.to_owned()));
    }
    Ok(Called::Value(value.get_mut("value").map(Value::take).unwrap_or_default()))
}

/// Whether a call failed because its document is no longer there.
fn is_gone(error: &CdpError) -> bool {
    const SAYINGS: [&str; 7] = [
        "uniqueContextId not found",
        "Cannot find context",
        "context was destroyed",
        "Promise was collected",
        "navigated or closed",
        // The session of a frame that went to another process, or away.
        "Session with given id not found",
        "Could not find object",
    ];
    matches!(error, CdpError::Refused { message, .. } if SAYINGS.iter().any(|saying| message.contains(saying)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_call_came_to() {
        let value = |v: Value| json!({"result": {"type": "object", "value": v}});
        assert!(matches!(read("f", value(json!({"value": 3}))), Ok(Called::Value(v)) if v == json!(3)));
        assert!(matches!(read("f", value(json!({}))), Ok(Called::Value(Value::Null))));
        let denied = read("f", value(json!({"denied": "https://evil"}))).err();
        assert_eq!(denied, Some(PageError::OriginDenied("https://evil".into())));
        let thrown = json!({"result": {"type": "object"},
            "exceptionDetails": {"text": "Uncaught", "exception": {"description": "Error: no"}}});
        let Err(PageError::Other { code: "script", message }) = read("f", thrown) else { panic!("it threw") };
        assert_eq!(message, "f: Error: no");
    }
}
