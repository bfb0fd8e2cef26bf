//! `discovery`: an export that an adapter may have, and by which it says which models an account really has.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use wasmtime::component::{Component, InstancePre};

use super::bindings::discovery::{self, DiscoveringPre};
use super::call::{Asked, watch_over};
use super::clock::{Deadlines, StageClock};
use super::guest_log::GuestLog;
use super::handles::{HostState, Means, PageHandle, Progress};
use super::manifest::Model;
use super::meter::Meter;
use super::{Adapter, INTERFACE_VERSION};
use crate::browser::Page;
use crate::chat::Kind;

/// More models than a site has, and the longest text of one.
const MAX_MODELS: usize = 256;
const MAX_TEXT: usize = 200;

/// The adapter's `discovery`, if it exports it.
///
/// # Errors
/// In words, where an export of that name is something else.
pub(super) fn find(
    component: &Component,
    pre: &InstancePre<HostState>,
) -> Result<Option<DiscoveringPre<HostState>>, String> {
    if component.get_export_index(None, format!("webai:adapter/discovery{INTERFACE_VERSION}")).is_none() {
        return Ok(None);
    }
    DiscoveringPre::new(pre.clone()).map(Some).map_err(|error| format!("{error:#}"))
}

impl Adapter {
    /// Whether it can say which models an account has.
    pub fn discovers(&self) -> bool {
        self.discovering.is_some()
    }

    /// The models that the account of this page has. None where the adapter does not say: the manifest's stand then. Sends
    /// nothing to the site. Of a model that the manifest knows too, its features are the manifest's. An error is what the adapter
    /// found instead, or how it ended.
    pub async fn models(&self, page: Arc<Page>, deadlines: Deadlines, means: Means) -> Asked<Option<Vec<Model>>> {
        let Some(discovering) = &self.discovering else { return Asked { result: Ok(None), denied: None } };
        let progress = Arc::new(Progress::new(StageClock::new(self.deadlines(deadlines)), CancellationToken::new()));
        let meter = Meter::new(self.manifest.limits.cpu);
        let log = GuestLog::new(self, "models");
        let state = HostState::new(page, None, Arc::clone(&progress), means, log, self.manifest.limits.memory);
        let mut store = self.store(state, &meter);
        let guest = async {
            let instance = discovering.instantiate_async(&mut store).await?;
            let page = store.data_mut().table.push(PageHandle)?;
            instance.webai_adapter_discovery().call_models(&mut store, page).await
        };
        let ended = watch_over(&progress, guest).await;
        let models = self.settled(ended, &progress, &store, &meter);
        Asked { result: models.map(|models| Some(self.described(models))), denied: progress.denied() }
    }

    fn described(&self, found: Vec<discovery::exports::webai::adapter::discovery::Model>) -> Vec<Model> {
        let mut models: BTreeMap<String, Model> = BTreeMap::new();
        let mut order = Vec::new();
        for model in found.into_iter().take(MAX_MODELS) {
            let usable = !model.id.is_empty() && model.id.len() <= MAX_TEXT && !model.id.contains(char::is_control);
            if !usable || models.contains_key(&model.id) {
                continue;
            }
            let known = self.manifest.models.iter().find(|known| known.id == model.id);
            let said = model.facts.iter().find(|(name, _)| name == "kind").and_then(|(_, kind)| match kind.as_str() {
                "text" => Some(Kind::Text),
                "image" => Some(Kind::Image),
                "video" => Some(Kind::Video),
                "audio" => Some(Kind::Audio),
                _ => None,
            });
            let kind = said.or(known.map(|known| known.kind)).unwrap_or_default();
            let features = known.map(|known| known.features.clone()).unwrap_or_default();
            let label = model.label.chars().take(MAX_TEXT).collect();
            order.push(model.id.clone());
            models.insert(model.id.clone(), Model { id: model.id, kind, label, features });
        }
        order.iter().filter_map(|id| models.remove(id)).collect()
    }
}
