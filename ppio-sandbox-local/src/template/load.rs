//! Loads stored templates, and removes builds that were not finished.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;

use super::record::{BASE, BuildFailure, BuildState, RECORD, TemplateRecord};
use crate::error::{Error, with_sources};

/// The new name of the built-in template's record if the record cannot be read. The template is
/// created again, and the old record is kept.
const SET_ASIDE: &str = "template.json.unreadable";
/// The last second of the year 9999, after which times have no RFC 3339 text.
const LAST_UNIX_SECOND: u64 = 253_402_300_799;

/// The reason why a template is not loaded. The files of the template are kept.
#[derive(Debug, thiserror::Error)]
enum LoadError {
    #[error("the template's {RECORD} cannot be read")]
    Unreadable(#[source] io::Error),
    #[error("the template's {RECORD} is malformed")]
    Malformed(#[source] serde_json::Error),
    #[error("the template's {RECORD} is that of template '{0}'")]
    OtherId(String),
    #[error("the template's {RECORD} has a last use after the year 9999: second {0}")]
    NoTime(u64),
    #[error("an older template has the same name, '{0}'")]
    SameName(String),
    #[error("the files of an unfinished build cannot be removed")]
    Leftovers(#[source] io::Error),
}

/// Loads every template below `directory`. A directory without a finished build is removed. A
/// template that cannot be used is left out with a warning.
pub(super) fn read(directory: &Path) -> Result<HashMap<String, TemplateRecord>, Error> {
    let mut records = Vec::new();
    for entry in fs::read_dir(directory).map_err(Error::home(directory))? {
        let path = entry.map_err(Error::home(directory))?.path();
        match read_one(&path) {
            Ok(Some(record)) => records.push(record),
            Ok(None) => {
                if let Err(error) = fs::remove_dir_all(&path) {
                    warn(&path, &LoadError::Leftovers(error));
                }
            }
            Err(reason) => {
                warn(&path, &reason);
                if path.file_name().is_some_and(|name| name == BASE) {
                    let aside = path.join(SET_ASIDE);
                    fs::rename(path.join(RECORD), &aside).map_err(Error::home(aside))?;
                }
            }
        }
    }
    records.sort_by(|left, right| (left.created_at, &left.id).cmp(&(right.created_at, &right.id)));
    let mut templates: HashMap<String, TemplateRecord> = HashMap::new();
    for record in records {
        // The older template may have been left out for a while, and its name used for the newer
        // one.
        if templates.values().any(|older| older.name == record.name) {
            warn(
                &directory.join(&record.id),
                &LoadError::SameName(record.name),
            );
        } else {
            templates.insert(record.id.clone(), record);
        }
    }
    Ok(templates)
}

fn warn(path: &Path, reason: &LoadError) {
    tracing::warn!(
        reason = with_sources(reason),
        "the template in {} is left out, its files are kept: repair or remove them, then start \
         the platform again",
        path.display()
    );
}

/// Reads one template. `None` when the template has no record, or no finished build.
fn read_one(directory: &Path) -> Result<Option<TemplateRecord>, LoadError> {
    let text = match fs::read(directory.join(RECORD)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(LoadError::Unreadable(error)),
    };
    let mut record: TemplateRecord = serde_json::from_slice(&text).map_err(LoadError::Malformed)?;
    if directory.file_name().is_none_or(|name| name != &*record.id) {
        return Err(LoadError::OtherId(record.id));
    }
    if let Some(second) = record.last_spawned_unix
        && second > LAST_UNIX_SECOND
    {
        return Err(LoadError::NoTime(second));
    }
    for build in &mut record.builds {
        if matches!(build.status, BuildState::Waiting | BuildState::Building) {
            build.status = BuildState::Error;
            build.failure = Some(BuildFailure {
                message: "the platform stopped during the build".into(),
                step: None,
            });
        }
    }
    // A template without a finished build is not kept.
    if !record
        .builds
        .iter()
        .any(|build| build.status == BuildState::Ready)
    {
        return Ok(None);
    }
    // Files of a build whose record was not stored.
    for entry in fs::read_dir(directory.join("builds")).into_iter().flatten() {
        let entry = entry.map_err(LoadError::Leftovers)?;
        let build = record.build(&entry.file_name().to_string_lossy());
        if build.is_none_or(|build| build.status != BuildState::Ready) {
            fs::remove_dir_all(entry.path()).map_err(LoadError::Leftovers)?;
        }
    }
    Ok(Some(record))
}
