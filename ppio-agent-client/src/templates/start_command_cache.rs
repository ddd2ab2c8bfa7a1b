//! A cache of start commands.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::manager::TemplateManager;
use super::start_command::StartCommand;
use crate::error::Error;

/// How long an entry is used. Many sessions of one template need one lookup, and a redeployed
/// template takes effect soon. A failed creation of a session removes the entry of its template.
const CACHE_TTL: Duration = Duration::from_secs(60);

/// An entry of the cache. Its lock is held during the lookup, so that concurrent callers share the
/// result.
type CachedCommand = Arc<tokio::sync::Mutex<Option<(Instant, StartCommand)>>>;

/// Start commands by the requested id, alias or name of the template.
#[derive(Debug, Default)]
pub(crate) struct StartCommandCache(Mutex<HashMap<String, CachedCommand>>);

impl StartCommandCache {
    /// Returns the start command of this template, and looks it up if there is no current entry.
    pub(crate) async fn find(
        &self,
        templates: &TemplateManager,
        template_id: &str,
    ) -> Result<StartCommand, Error> {
        let slot = self.slot(template_id);
        let mut cached = slot.lock().await;
        if let Some((at, command)) = &*cached
            && at.elapsed() < CACHE_TTL
        {
            return Ok(command.clone());
        }
        let command = StartCommand::of(templates.find(template_id).await?.as_ref());
        *cached = Some((Instant::now(), command.clone()));
        Ok(command)
    }

    /// Returns the entry of a template. Entries that are too old are removed when a new entry is
    /// added.
    fn slot(&self, template_id: &str) -> CachedCommand {
        let mut entries = self.lock();
        if let Some(slot) = entries.get(template_id) {
            return Arc::clone(slot);
        }
        entries.retain(|_, slot| match slot.try_lock() {
            Ok(cached) => matches!(&*cached, Some((at, _)) if at.elapsed() < CACHE_TTL),
            // The entry is being looked up.
            Err(_) => true,
        });
        Arc::clone(entries.entry(template_id.to_owned()).or_default())
    }

    /// Removes an entry.
    pub(crate) fn remove(&self, template_id: &str) {
        self.lock().remove(template_id);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, CachedCommand>> {
        // A panic cannot leave a map in an invalid state.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
