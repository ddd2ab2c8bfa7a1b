//! How agents are started, remembered for a moment.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::manager::TemplateManager;
use super::start_command::StartCommand;
use crate::error::Error;

/// Long enough that a batch of sessions looks their template up once, short enough that a template
/// deployed anew is seen soon. A creation that fails forgets it at once.
const REMEMBERED: Duration = Duration::from_secs(60);

/// One lookup at a time; who waits for it finds its result.
type Slot = Arc<tokio::sync::Mutex<Option<(Instant, StartCommand)>>>;

/// What was learned of templates, by the name they were asked for.
#[derive(Debug, Default)]
pub(crate) struct StartCommandCache(Mutex<HashMap<String, Slot>>);

impl StartCommandCache {
    /// How the agent of this template is started.
    pub(crate) async fn find(
        &self,
        templates: &TemplateManager,
        template_id: &str,
    ) -> Result<StartCommand, Error> {
        let slot = Arc::clone(self.lock().entry(template_id.to_owned()).or_default());
        let mut known = slot.lock().await;
        if let Some((at, launch)) = &*known
            && at.elapsed() < REMEMBERED
        {
            return Ok(launch.clone());
        }
        let launch = StartCommand::of(templates.find(template_id).await?.as_ref());
        *known = Some((Instant::now(), launch.clone()));
        Ok(launch)
    }

    /// The next session looks the template up again.
    pub(crate) fn remove(&self, template_id: &str) {
        self.lock().remove(template_id);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Slot>> {
        // A map has no broken state.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
