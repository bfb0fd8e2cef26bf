//! What drives a page when no server runs: the guard, the adapters, and an instance of the operator's.

use std::path::PathBuf;
use std::sync::Arc;

use super::{StartError, adapters, internal, start_demo};
use crate::config::Config;
use crate::dispatch::Member;
use crate::instances;
use crate::lab::demo::DemoSite;
use crate::plugin::{Compiler, Engine, Registry};
use crate::store::DataFolder;

/// Everything but the server.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) registry: Arc<Registry>,
    demo: Option<DemoSite>,
}

impl Parts {
    /// Starts them. Adapters are loaded behind it.
    ///
    /// # Errors
    /// As [`super::App::start`].
    pub(crate) async fn start(
        config: &Config,
        folder: &DataFolder,
        bundled: Vec<PathBuf>,
        program: Option<PathBuf>,
    ) -> Result<Self, StartError> {
        let demo = match config.adapters.demo {
            true => Some(start_demo(config.adapters.demo_listen).await?),
            false => None,
        };
        let cache = folder.path().join("cache");
        let engine = Engine::new(Some(&cache))?;
        let compiler = program.map(|program| Compiler { program, cache });
        let registry = Arc::new(Registry::start(engine, adapters(config, folder, bundled, compiler)));
        Ok(Self { registry, demo })
    }

    /// An instance of the configuration, in a window on the desktop. None where there is none of this name.
    ///
    /// # Errors
    /// When its guard cannot listen.
    pub(crate) async fn instance_with_a_window(
        &self,
        config: &Config,
        folder: &DataFolder,
        name: &str,
    ) -> Result<Option<Arc<Member>>, StartError> {
        let plans = instances::plans(config, folder, self.demo.as_ref());
        let Some(mut plan) = plans.into_iter().find(|plan| plan.name == name) else { return Ok(None) };
        plan.launch.headless = false;
        let keeping = super::keep::keeping(config, folder, name, &self.registry);
        Member::start(plan, Some(keeping)).await.map(Some).map_err(internal("egress guard"))
    }
}
