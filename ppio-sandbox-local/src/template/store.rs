//! The templates of this home. A change is on disk before the call that makes it returns, except
//! for the count of created sandboxes, which is stored with the next change.
//!
//! ```text
//! templates/{id}/template.json      written aside, then renamed
//! templates/{id}/builds/{build}/    the files of a finished build
//! templates/{id}/files/{hash}       uploads, kept for later builds
//! ```

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::load;
use super::record::{
    BASE, BuildFailure, BuildRecord, BuildState, DEFAULT_TAG, RECORD, Recipe, TagRecord,
    TemplateRecord,
};
use crate::error::Error;
use crate::files::{copy_tree, disk_usage};
use crate::sandbox::TemplateImage;
use crate::{clock, identity};

#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("template '{0}' not found")]
    NoTemplate(String),
    #[error("template '{template}' has no tag '{tag}'")]
    NoTag { template: String, tag: String },
    #[error("build '{0}' not found")]
    NoBuild(String),
    #[error("template '{0}' has no finished build")]
    NotBuilt(String),
    #[error("template '{BASE}' belongs to the platform and cannot be changed")]
    BuiltIn,
    #[error("build '{0}' was started already")]
    AlreadyStarted(String),
    #[error("failed to store template")]
    Io(#[from] io::Error),
}

/// The checked request for a new build.
#[derive(Debug)]
pub(crate) struct RequestedBuild {
    pub(crate) name: String,
    pub(crate) tags: Vec<String>,
    pub(crate) cpu_count: u32,
    pub(crate) memory_mb: u32,
    pub(crate) metadata: BTreeMap<String, String>,
    /// The sandbox that the template is a snapshot of.
    pub(crate) snapshot_of: Option<String>,
}

#[derive(Debug)]
pub(crate) struct TemplateStore {
    directory: PathBuf,
    templates: Mutex<HashMap<String, TemplateRecord>>,
}

impl TemplateStore {
    /// Loads the stored templates, and removes builds that were not finished.
    pub(crate) fn open(directory: PathBuf) -> Result<Self, Error> {
        let stored = load::read(&directory)?;
        let store = Self {
            directory,
            templates: Mutex::new(stored),
        };
        if store.find(BASE).is_none() {
            let record = base_template();
            store.save(&record).map_err(Error::home(store.path(BASE)))?;
            store.lock().insert(record.id.clone(), record);
        }
        Ok(store)
    }

    /// Returns the templates, oldest first.
    pub(crate) fn list(&self) -> Vec<TemplateRecord> {
        let mut records: Vec<_> = self.lock().values().cloned().collect();
        records
            .sort_by(|left, right| (left.created_at, &left.id).cmp(&(right.created_at, &right.id)));
        records
    }

    /// Finds a template by id or by name.
    pub(crate) fn find(&self, id_or_name: &str) -> Option<TemplateRecord> {
        let templates = self.lock();
        let found = templates
            .get(id_or_name)
            .or_else(|| templates.values().find(|record| record.name == id_or_name));
        found.cloned()
    }

    /// Returns the image that a sandbox is created from, by the template's id or name, with or
    /// without `:tag` or `:build`, the id of a build.
    pub(crate) fn image(&self, reference: &str) -> Result<TemplateImage, StoreError> {
        let (template, tag) = match reference.split_once(':') {
            Some((template, tag)) => (template, Some(tag)),
            None => (reference, None),
        };
        let record = self
            .find(template)
            .ok_or_else(|| StoreError::NoTemplate(reference.to_owned()))?;
        let build = match tag {
            None => record.current(),
            Some(tag) => {
                let missing = || StoreError::NoTag {
                    template: template.to_owned(),
                    tag: tag.to_owned(),
                };
                let tagged = record.tags.get(tag).map(|tagged| tagged.build_id.as_str());
                // The id of a build is accepted in place of a tag.
                Some(record.build(tagged.unwrap_or(tag)).ok_or_else(missing)?)
            }
        };
        let build = build
            .filter(|build| build.status == BuildState::Ready)
            .ok_or_else(|| StoreError::NotBuilt(reference.to_owned()))?;
        let root = self.build_root(&record.id, &build.id);
        Ok(TemplateImage {
            template_id: record.id.clone(),
            alias: Some(record.name.clone()),
            root: root.is_dir().then_some(root),
            cpu_count: build.cpu_count,
            memory_mb: build.memory_mb,
            environment: build.recipe.environment.clone(),
            directory: build.recipe.directory.clone(),
            user: build.recipe.user.clone(),
            start_command: build.recipe.start_command.clone(),
            ready_command: build.recipe.ready_command.clone(),
        })
    }

    /// Adds a build to the template with this name or id, which is created when there is none.
    pub(crate) fn add_build(
        &self,
        new: RequestedBuild,
    ) -> Result<(TemplateRecord, String), StoreError> {
        if new.name == BASE {
            return Err(StoreError::BuiltIn);
        }
        let now = SystemTime::now();
        let mut templates = self.lock();
        let existing = templates
            .values()
            .find(|record| record.name == new.name || record.id == new.name);
        let mut record = existing.cloned().unwrap_or_else(|| TemplateRecord {
            id: identity::short_id('t'),
            name: new.name,
            cpu_count: new.cpu_count,
            memory_mb: new.memory_mb,
            created_at: now,
            updated_at: now,
            metadata: BTreeMap::new(),
            builds: Vec::new(),
            tags: BTreeMap::new(),
            snapshot_of: new.snapshot_of,
            spawn_count: 0,
            last_spawned_unix: None,
        });
        let build_id = identity::build_id();
        record.builds.push(BuildRecord {
            id: build_id.clone(),
            status: BuildState::Waiting,
            cpu_count: new.cpu_count,
            memory_mb: new.memory_mb,
            created_at: now,
            updated_at: now,
            wanted_tags: new.tags,
            wanted_metadata: new.metadata,
            disk_mb: 0,
            recipe: Recipe::default(),
            failure: None,
        });
        self.save(&record)?;
        templates.insert(record.id.clone(), record.clone());
        Ok((record, build_id))
    }

    /// Marks a waiting build as building; only the first call succeeds. Returns the metadata that
    /// the build was requested with, for [`TemplateStore::finish`].
    pub(crate) fn begin(
        &self,
        template_id: &str,
        build_id: &str,
    ) -> Result<BTreeMap<String, String>, StoreError> {
        self.change(template_id, |record| {
            let build = record
                .build_mut(build_id)
                .ok_or_else(|| StoreError::NoBuild(build_id.to_owned()))?;
            if build.status != BuildState::Waiting {
                return Err(StoreError::AlreadyStarted(build_id.to_owned()));
            }
            build.status = BuildState::Building;
            build.updated_at = SystemTime::now();
            Ok(std::mem::take(&mut build.wanted_metadata))
        })
    }

    /// Moves the files of a finished build into place, and stores the build as ready, with its
    /// recipe. Adds its tags and `metadata` to the template.
    pub(crate) fn finish(
        &self,
        template_id: &str,
        build_id: &str,
        files: &Path,
        recipe: Recipe,
        metadata: BTreeMap<String, String>,
    ) -> Result<(), StoreError> {
        let disk_mb = disk_usage(files) / (1024 * 1024);
        let root = self.build_root(template_id, build_id);
        self.change(template_id, |record| {
            let now = SystemTime::now();
            let build = record
                .build_mut(build_id)
                .ok_or_else(|| StoreError::NoBuild(build_id.to_owned()))?;
            // Done under the lock, so that the template cannot be deleted meanwhile.
            fs::create_dir_all(self.path(template_id).join("builds"))?;
            match fs::rename(files, &root) {
                // A platform that runs as root may have its sandboxes on another file system.
                Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                    copy_tree(files, &root)?;
                }
                renamed => renamed?,
            }
            build.status = BuildState::Ready;
            build.updated_at = now;
            build.recipe = recipe;
            build.disk_mb = disk_mb;
            let (cpu_count, memory_mb) = (build.cpu_count, build.memory_mb);
            for tag in std::mem::take(&mut build.wanted_tags) {
                record.tags.insert(
                    tag,
                    TagRecord {
                        build_id: build_id.to_owned(),
                        created_at: now,
                    },
                );
            }
            (record.cpu_count, record.memory_mb) = (cpu_count, memory_mb);
            record.metadata.extend(metadata);
            record.updated_at = now;
            Ok(())
        })
    }

    pub(crate) fn fail(
        &self,
        template_id: &str,
        build_id: &str,
        failure: BuildFailure,
    ) -> Result<(), StoreError> {
        self.change(template_id, |record| {
            if let Some(build) = record.build_mut(build_id) {
                build.status = BuildState::Error;
                build.updated_at = SystemTime::now();
                build.failure = Some(failure);
            }
            Ok(())
        })
    }

    /// Changes a template: stores the change, then makes it visible.
    pub(crate) fn change<T>(
        &self,
        template_id: &str,
        change: impl FnOnce(&mut TemplateRecord) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut templates = self.lock();
        let current = templates
            .get(template_id)
            .ok_or_else(|| StoreError::NoTemplate(template_id.to_owned()))?;
        let mut record = current.clone();
        let outcome = change(&mut record)?;
        self.save(&record)?;
        templates.insert(record.id.clone(), record);
        Ok(outcome)
    }

    /// Counts a sandbox that was created from a template.
    pub(crate) fn count_spawn(&self, template_id: &str) {
        if let Some(record) = self.lock().get_mut(template_id) {
            // Stored with the next change, to save a write per sandbox.
            record.spawn_count += 1;
            record.last_spawned_unix = Some(clock::unix_seconds(SystemTime::now()));
        }
    }

    /// Removes the record of a template and returns the template's id. The caller removes the
    /// files; the next start would remove files without a record.
    pub(crate) fn forget(&self, id_or_name: &str) -> Result<String, StoreError> {
        let record = self
            .find(id_or_name)
            .ok_or_else(|| StoreError::NoTemplate(id_or_name.to_owned()))?;
        if record.id == BASE {
            return Err(StoreError::BuiltIn);
        }
        let mut templates = self.lock();
        match fs::remove_file(self.path(&record.id).join(RECORD)) {
            // Another call has already deleted the record.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::NoTemplate(id_or_name.to_owned()));
            }
            removed => removed?,
        }
        templates.remove(&record.id);
        Ok(record.id)
    }

    pub(crate) fn path(&self, template_id: &str) -> PathBuf {
        self.directory.join(template_id)
    }

    fn build_root(&self, template_id: &str, build_id: &str) -> PathBuf {
        self.path(template_id).join("builds").join(build_id)
    }

    fn save(&self, record: &TemplateRecord) -> io::Result<()> {
        let directory = self.path(&record.id);
        fs::create_dir_all(&directory)?;
        let aside = directory.join(format!("{RECORD}.new"));
        let mut file = File::create(&aside)?;
        file.write_all(&serde_json::to_vec_pretty(record)?)?;
        file.sync_all()?;
        fs::rename(aside, directory.join(RECORD))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, TemplateRecord>> {
        self.templates
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn base_template() -> TemplateRecord {
    let now = SystemTime::now();
    // Existing clients parse build ids as UUIDs.
    let build_id = "00000000-0000-4000-8000-000000000000".to_owned();
    TemplateRecord {
        id: BASE.into(),
        name: BASE.into(),
        cpu_count: 2,
        memory_mb: 1024,
        created_at: now,
        updated_at: now,
        metadata: BTreeMap::new(),
        builds: vec![BuildRecord {
            id: build_id.clone(),
            status: BuildState::Ready,
            cpu_count: 2,
            memory_mb: 1024,
            created_at: now,
            updated_at: now,
            wanted_tags: Vec::new(),
            wanted_metadata: BTreeMap::new(),
            disk_mb: 0,
            recipe: Recipe::default(),
            failure: None,
        }],
        tags: BTreeMap::from([(
            DEFAULT_TAG.to_owned(),
            TagRecord {
                build_id,
                created_at: now,
            },
        )]),
        snapshot_of: None,
        spawn_count: 0,
        last_spawned_unix: None,
    }
}
