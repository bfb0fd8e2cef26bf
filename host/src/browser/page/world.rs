//! The host's isolated worlds: scripts of a page neither see nor change what runs there.
//!
//! Every frame has a world named [`WORLD`] with the helper script in it. A world is addressed by its `uniqueContextId`, so that
//! a call can never reach a document other than the one that it was meant for.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chromiumoxide::cdp::js_protocol::runtime::{CallArgument, CallFunctionOnParams};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::Shared;
use crate::browser::cdp::{CdpError, Event};
use crate::browser::dom::HELPER;
use crate::browser::error::PageError;

/// The name of the host's world in each frame.
pub(super) const WORLD: &str = "webai";
/// The function by which a helper tells what it observes.
pub(super) const BINDING: &str = "webaiTell";
/// What the navigation part needs. `document.title` itself would be what an image named `title` says it is.
const BASE: &str = "{
    const title = Object.getOwnPropertyDescriptor(Document.prototype, 'title').get;
    globalThis.webai.title = () => title.call(document);
}";

/// The whole script for the host's world. It runs before any script of the page.
pub(super) fn helper() -> String {
    format!("{HELPER}\n{BASE}")
}

/// Runs a function of the helper. Its first act is to look where it is: between a check here and a call there the document
/// could have changed, though not its origin within one context.
const CALL: &str = r#"async function(origins, name, args) {
    const here = self.origin;
    const granted = origins.some((o) => {
        const at = o.indexOf("://*.");
        return at < 0 ? here === o : here.startsWith(o.slice(0, at + 3)) && here.endsWith(o.slice(at + 4));
    });
    if (!granted) return { denied: here };
    return { value: await webai[name](args) };
}"#;

/// How long to wait for the news that a context is gone, after a call failed because of it.
const NEWS_OF_THE_END: Duration = Duration::from_millis(500);

/// The worlds of a page's frames, as the actor learns of them.
#[derive(Debug)]
pub(super) struct Worlds {
    /// By `uniqueId`.
    known: Mutex<HashMap<String, World>>,
    /// The `uniqueId` of the main frame's.
    main: watch::Sender<Option<String>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct World {
    pub(super) session: String,
    pub(super) frame: String,
    pub(super) origin: String,
}

impl Default for Worlds {
    fn default() -> Self {
        Self { known: Mutex::default(), main: watch::Sender::new(None) }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    unique_id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    origin: String,
    aux_data: AuxData,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuxData {
    frame_id: String,
}

impl Worlds {
    /// Takes in a `Runtime.executionContext...` event.
    pub(super) fn on_event(&self, event: &Event, main_frame: &str) {
        match event.method.as_str() {
            "Runtime.executionContextCreated" => {
                // Contexts without a frame are workers'.
                let context = event.params.get("context").map(Context::deserialize);
                if let Some(Ok(context)) = context
                    && context.name == WORLD
                {
                    self.created(context, &event.session, main_frame);
                }
            }
            "Runtime.executionContextDestroyed" => {
                if let Some(id) = event.params.get("executionContextUniqueId").and_then(Value::as_str) {
                    self.retain(|known, _| known != id);
                }
            }
            "Runtime.executionContextsCleared" => self.gone(&event.session),
            _ => {}
        }
    }

    fn created(&self, context: Context, session: &str, main_frame: &str) {
        let Context { unique_id, origin, aux_data, .. } = context;
        let main = aux_data.frame_id == main_frame;
        let world = World { session: session.to_owned(), frame: aux_data.frame_id, origin };
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(unique_id.clone(), world);
        if main {
            self.main.send_replace(Some(unique_id));
        }
    }

    /// A session is gone, and all worlds in it.
    pub(super) fn gone(&self, session: &str) {
        self.retain(|_, world| world.session != session);
    }

    fn retain(&self, keep: impl Fn(&str, &World) -> bool) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|id, world| keep(id, world));
        self.main.send_if_modified(|main| {
            let lost = main.as_ref().is_some_and(|id| !known.contains_key(id));
            if lost {
                *main = None;
            }
            lost
        });
    }

    /// The main frame's world, if it has one now.
    pub(super) fn current(&self) -> Option<String> {
        self.main.borrow().clone()
    }

    /// The main frame's world; waits until it has one.
    pub(super) async fn main(&self, shared: &Shared, until: Instant) -> Result<String, PageError> {
        let mut main = self.main.subscribe();
        tokio::select! {
            biased;
            () = shared.cancel.cancelled() => Err(PageError::Closed),
            found = timeout_at(until, main.wait_for(Option::is_some)) => match found {
                Ok(Ok(found)) => found.clone().ok_or(PageError::Closed),
                Ok(Err(_)) => Err(PageError::Closed),
                Err(_) => Err(PageError::Timeout("the document".into())),
            },
        }
    }

    /// Waits until the main frame's world is another than `old`.
    async fn other_than(&self, old: &str, until: Instant) {
        let mut main = self.main.subscribe();
        let changed = main.wait_for(|main| main.as_deref() != Some(old));
        // Without news it is tried again as it is.
        timeout_at(until.min(Instant::now() + NEWS_OF_THE_END), changed).await.ok();
    }
}

/// What a call came to.
enum Called {
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
                self.worlds.other_than(&world, until).await;
                if Instant::now() >= until {
                    return Err(PageError::Timeout(format!("{function}: the document keeps changing")));
                }
                continue;
            };
            return serde_json::from_value(value)
                .map_err(|e| PageError::Other { code: "script", message: format!("{function}: {e}") });
        }
    }

    /// The command that runs a function of the helper in one world.
    fn call_of(&self, world: &str, function: &str, args: &Value) -> CallFunctionOnParams {
        let origins: Vec<String> = self.spec.page.iter().map(ToString::to_string).collect();
        let argument = |value: Value| CallArgument { value: Some(value), unserializable_value: None, object_id: None };
        let mut call = CallFunctionOnParams::new(CALL);
        call.arguments = Some(vec![argument(json!(origins)), argument(json!(function)), argument(args.clone())]);
        call.unique_context_id = Some(world.to_owned());
        call.await_promise = Some(true);
        call.return_by_value = Some(true);
        call
    }

    /// Runs a function of the helper in the document that is there now, once. None when there is none, or when it does not
    /// answer: Chromium hands nothing to a document that is about to be replaced.
    pub(super) async fn call_here<T: DeserializeOwned>(
        &self,
        function: &str,
        args: &Value,
        deadline: Duration,
    ) -> Result<Option<T>, PageError> {
        let Some(world) = self.worlds.current() else { return Ok(None) };
        let asked = self.raw_command(&self.session, Lenient(self.call_of(&world, function, args)), deadline);
        let answer = tokio::select! {
            biased;
            answer = asked => answer,
            () = self.gate.deadlock() => return Ok(None),
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(CdpError::Timeout { .. }) => return Ok(None),
            Err(error) if is_gone(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Called::Value(value) = read(function, answer)? else { return Ok(None) };
        serde_json::from_value(value)
            .map(Some)
            .map_err(|e| PageError::Other { code: "script", message: format!("{function}: {e}") })
    }

    /// Runs a function of the helper in one world, and waits for nothing.
    pub(super) fn tell_in(&self, world: &str, function: &str, args: &Value) -> Result<(), CdpError> {
        self.session.tell(Lenient(self.call_of(world, function, args)))
    }

    /// Runs a function of the helper in one world.
    async fn call_in(&self, world: &str, function: &str, args: &Value, until: Instant) -> Result<Called, PageError> {
        let call = self.call_of(world, function, args);
        let left = until.saturating_duration_since(Instant::now());
        let answer = match self.raw_command(&self.session, Lenient(call), left).await {
            Ok(answer) => answer,
            Err(error) if is_gone(&error) => return Ok(Called::Gone),
            Err(CdpError::Timeout { .. }) => {
                self.prove_life().await;
                return Err(PageError::Timeout(function.to_owned()));
            }
            Err(error) => return Err(error.into()),
        };
        read(function, answer)
    }
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
    const SAYINGS: [&str; 5] = [
        "uniqueContextId not found",
        "Cannot find context",
        "context was destroyed",
        "Promise was collected",
        "navigated or closed",
    ];
    matches!(error, CdpError::Refused { message, .. } if SAYINGS.iter().any(|saying| message.contains(saying)))
}

/// A typed command whose answer is read here: the crate's type demands fields that Chromium may leave out.
#[derive(Debug, serde::Serialize)]
#[serde(transparent)]
pub(super) struct Lenient<C>(pub(super) C);

impl<C: chromiumoxide::Method> chromiumoxide::Method for Lenient<C> {
    fn identifier(&self) -> chromiumoxide::types::MethodId {
        self.0.identifier()
    }
}

impl<C: chromiumoxide::Command> chromiumoxide::Command for Lenient<C> {
    type Response = Value;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(method: &str, params: Value) -> Event {
        Event { method: method.into(), session: "S".into(), params }
    }

    fn created(id: &str, frame: &str, name: &str) -> Event {
        let context =
            json!({"uniqueId": id, "name": name, "origin": "https://a", "auxData": {"frameId": frame, "new": 1}});
        event("Runtime.executionContextCreated", json!({"context": context}))
    }

    #[test]
    fn keeps_the_main_frames_world_and_no_other() {
        let worlds = Worlds::default();
        worlds.on_event(&created("page", "F", ""), "F");
        assert_eq!(*worlds.main.borrow(), None);
        worlds.on_event(&created("child", "G", WORLD), "F");
        assert_eq!(*worlds.main.borrow(), None);
        worlds.on_event(&created("one", "F", WORLD), "F");
        worlds.on_event(&created("two", "F", WORLD), "F");
        worlds.on_event(&event("Runtime.executionContextDestroyed", json!({"executionContextUniqueId": "one"})), "F");
        assert_eq!(worlds.main.borrow().as_deref(), Some("two"), "the end of an old world leaves the new one");
        worlds.on_event(&event("Runtime.executionContextsCleared", json!({})), "F");
        assert_eq!(*worlds.main.borrow(), None);
    }

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
