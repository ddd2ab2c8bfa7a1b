//! How agents are started, remembered for a moment.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Launch, TemplateManager};
use crate::error::Error;

/// Long enough that a batch of sessions looks their template up once, short enough that a template
/// deployed anew is seen soon. A creation that fails forgets it at once.
const REMEMBERED: Duration = Duration::from_secs(60);

/// One lookup at a time; who waits for it finds its result.
type Slot = Arc<tokio::sync::Mutex<Option<(Instant, Launch)>>>;

/// What was learned of templates, by the name they were asked for.
#[derive(Debug, Default)]
pub(crate) struct Launches(Mutex<HashMap<String, Slot>>);

impl Launches {
    /// How the agent of this template is started.
    pub(crate) async fn find(
        &self,
        templates: &TemplateManager,
        template_id: &str,
    ) -> Result<Launch, Error> {
        let slot = Arc::clone(self.lock().entry(template_id.to_owned()).or_default());
        let mut known = slot.lock().await;
        if let Some((at, launch)) = &*known
            && at.elapsed() < REMEMBERED
        {
            return Ok(launch.clone());
        }
        let launch = Launch::of(templates.find(template_id).await?.as_ref());
        *known = Some((Instant::now(), launch.clone()));
        Ok(launch)
    }

    /// The next session looks the template up again.
    pub(crate) fn forget(&self, template_id: &str) {
        self.lock().remove(template_id);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Slot>> {
        // A map has no broken state.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
