//! What drives a page when no server runs: the guard, the adapters, and an instance of the operator's.

use std::path::PathBuf;
use std::sync::Arc;

use super::{StartError, adapters, instance, start_demo, start_guard};
use crate::browser::guard::Guard;
use crate::browser::{Instance, InstanceOptions};
use crate::config::Config;
use crate::lab::demo::DemoSite;
use crate::plugin::{Compiler, Engine, Registry};
use crate::store::DataFolder;

/// Everything but the server.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) registry: Arc<Registry>,
    guard: Guard,
    _demo: Option<DemoSite>,
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
        let guard = start_guard(demo.as_ref(), &config.browser).await?;
        let cache = folder.path().join("cache");
        let engine = Engine::new(Some(&cache))?;
        let compiler = program.map(|program| Compiler { program, cache });
        let registry = Arc::new(Registry::start(engine, adapters(config, folder, bundled, compiler)));
        Ok(Self { registry, guard, _demo: demo })
    }

    /// An instance of the configuration, in a window on the desktop. None where there is none of this name.
    pub(crate) fn instance_with_a_window(&self, config: &Config, folder: &DataFolder, name: &str) -> Option<Instance> {
        let mut options: InstanceOptions = instance(config, folder, self.guard.addr());
        if options.name != name {
            return None;
        }
        options.launch.headless = false;
        let keeping = super::keep::keeping(config, folder, name, &self.registry);
        Some(Instance::spawn_kept(options, keeping))
    }
}
