//! The files that are sent to the platform.

mod archive;
mod project_files;
mod rules;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

pub(super) use self::archive::{ARCHIVE_ROOT, Archive, LEAVE_OUT_HELP, LeftOutFile, LeftOutReason};

use self::archive::FileContent;
use self::project_files::{FileEntry, ProjectFileInfo, ProjectFiles, ResolvedLink, unreadable};
use self::rules::{Decision, SendRules, include_patterns};
use crate::error::{CliError, ExitKind};

/// Files by their path below the root of the archive.
#[derive(Debug)]
pub(super) struct Bundle {
    project: ProjectFiles,
    rules: SendRules,
    files: BTreeMap<PathBuf, FileContent>,
    left_out: BTreeMap<PathBuf, LeftOutReason>,
}

impl Bundle {
    /// Creates an empty bundle. Files that match `include` are sent even if `.dockerignore` or the
    /// list of secrets leaves them out, but not from a virtual environment. Blocks.
    pub(in crate::deploy) fn new(project: &Path, include: &[String]) -> Result<Self, CliError> {
        let rules = SendRules::read(project, include)?;
        let project = ProjectFiles::open(project).map_err(|error| unreadable(project, error))?;
        Ok(Self {
            project,
            rules,
            files: BTreeMap::new(),
            left_out: BTreeMap::new(),
        })
    }

    /// Adds a file with this text, which replaces a file of the project with the same path.
    pub(in crate::deploy) fn add_text(&mut self, path: &str, text: String) {
        self.files.insert(path.into(), FileContent::Text(text));
    }

    /// Adds the compiled program.
    ///
    /// # Errors
    /// If the bundle has a file with this path.
    pub(in crate::deploy) fn add_program(
        &mut self,
        path: &str,
        source: PathBuf,
    ) -> Result<(), CliError> {
        match self.files.insert(path.into(), FileContent::Program(source)) {
            None => Ok(()),
            Some(_) => Err(CliError::new(
                ExitKind::Usage,
                format!("`{path}` is both the agent's program and a file in `spec.files`"),
            )
            .help("rename the file")),
        }
    }

    /// Adds the whole project except what the rules leave out and what cannot be sent: virtual
    /// environments, broken links, and special files. Blocks.
    pub(in crate::deploy) fn add_project(&mut self) -> Result<(), CliError> {
        self.add_folder(Path::new(""), Path::new(""))
    }

    /// Adds a file or folder of the project by its path in `spec.files`. `.dockerignore` applies to
    /// the path as well. Blocks.
    ///
    /// # Errors
    /// If the path is not a path inside the project, does not exist, cannot be read, has the name
    /// of a secret, or is a link to a secret or to a folder.
    pub(in crate::deploy) fn add_listed(&mut self, path: &str) -> Result<(), CliError> {
        let outside = || {
            let message = format!("spec.files: {path:?} is not a path inside the project");
            CliError::new(ExitKind::Usage, message)
                .help("write the path relative to agent.yaml and without `..`")
        };
        let mut clean = PathBuf::new();
        for part in Path::new(path).components() {
            match part {
                Component::Normal(name) => clean.push(name),
                Component::CurDir => {}
                _ => return Err(outside()),
            }
        }
        let secret = |what: &str| {
            let message = format!("spec.files: {path:?} {what}");
            CliError::new(ExitKind::Usage, message).help(format!(
                "remove the path from agent.yaml, or allow the path with `--include '{}'`",
                clean.display()
            ))
        };
        if let Decision::Secret(_) = self.rules.decide(&clean) {
            return Err(secret("has the name of a secret"));
        }
        // Folders of the path may be links that stay inside the project.
        let source = match self.project.target(&clean) {
            Ok(ResolvedLink::Inside(source)) => source,
            Ok(ResolvedLink::Outside(target)) => return Err(self.outside_project(&clean, &target)),
            Ok(ResolvedLink::Missing) => {
                let message = format!("spec.files: {path:?} does not exist");
                return Err(CliError::new(ExitKind::Usage, message).help(
                    "correct the path in agent.yaml, which is relative to the folder of agent.yaml",
                ));
            }
            Err(error) => return Err(unreadable(&clean, error)),
        };
        if source != clean
            && !self.rules.include.matches(&clean)
            && let Decision::Secret(target) = self.rules.decide(&source)
        {
            let what = format!("is a link to the secret {}", target.display());
            return Err(secret(&what));
        }
        if self.is_folder(&source)? {
            // The archive has the folder under its listed path. A link to a folder is refused.
            if self
                .project
                .first_link(&clean)
                .is_some_and(|(link, _)| link == clean)
            {
                return Err(link_to_folder(&clean));
            }
            return self.add_folder(&clean, &source);
        }
        self.add_path(&clean, &source)
    }

    pub(in crate::deploy) fn contains(&self, path: &str) -> bool {
        self.files.contains_key(Path::new(path))
    }

    /// Adds the contents of the project's folder `source` under the path `folder`.
    fn add_folder(&mut self, folder: &Path, source: &Path) -> Result<(), CliError> {
        let names = self
            .project
            .names(source)
            .map_err(|error| unreadable(source, error))?;
        for name in names {
            self.add_path(&folder.join(&name), &source.join(&name))?;
        }
        Ok(())
    }

    /// Adds the project's file or folder `source` under the path `path`.
    fn add_path(&mut self, path: &Path, source: &Path) -> Result<(), CliError> {
        if self.files.contains_key(path) {
            return Ok(());
        }
        let entry = self
            .project
            .entry(source)
            .map_err(|error| unreadable(source, error))?;
        let decision = self.rules.decide(path);
        if let Decision::Secret(secret) = decision {
            // `--include` may match a path inside the folder.
            if matches!(entry, FileEntry::Folder) && !self.rules.include.is_empty() {
                return self.add_folder(path, source);
            }
            self.left_out
                .insert(secret.to_owned(), LeftOutReason::Secret);
            return Ok(());
        }
        let ignored = matches!(decision, Decision::Ignore);
        if ignored && !self.rules.ignore.has_exceptions() && self.rules.include.is_empty() {
            return Ok(());
        }
        match entry {
            FileEntry::Folder if self.is_environment(source) => {
                self.leave_out(path, LeftOutReason::VirtualEnvironment, ignored);
                Ok(())
            }
            FileEntry::Folder => self.add_folder(path, source),
            _ if ignored => Ok(()),
            FileEntry::File(info) => {
                self.insert(path, source, info);
                Ok(())
            }
            FileEntry::Link(target) => self.add_link(path, target),
            FileEntry::Special => {
                self.leave_out(path, LeftOutReason::NotAFile, ignored);
                Ok(())
            }
        }
    }

    /// Adds the file that a link points to. A link to a folder, or to a path outside the project,
    /// is an error.
    fn add_link(&mut self, path: &Path, target: ResolvedLink) -> Result<(), CliError> {
        let target = match target {
            ResolvedLink::Inside(target) => target,
            ResolvedLink::Outside(target) => return Err(self.outside_project(path, &target)),
            // For example, the link is the lock file of another program.
            ResolvedLink::Missing => {
                self.leave_out(path, LeftOutReason::BrokenLink, false);
                return Ok(());
            }
        };
        // A link to a secret is left out as well, unless `--include` matches the link's name.
        if self.rules.secrets.contains(&target) && !self.rules.include.matches(path) {
            self.leave_out(path, LeftOutReason::Secret, false);
            return Ok(());
        }
        if self.rules.never.leaves_out(&target) {
            return Ok(());
        }
        let entry = self.project.entry(&target);
        match entry.map_err(|error| unreadable(&target, error))? {
            FileEntry::File(info) => self.insert(path, &target, info),
            FileEntry::Folder => return Err(link_to_folder(path)),
            FileEntry::Special | FileEntry::Link(_) => {
                self.leave_out(path, LeftOutReason::NotAFile, false);
            }
        }
        Ok(())
    }

    fn insert(&mut self, path: &Path, source: &Path, info: ProjectFileInfo) {
        let content = FileContent::Project {
            path: source.to_owned(),
            info,
        };
        self.files.insert(path.to_owned(), content);
    }

    fn leave_out(&mut self, path: &Path, reason: LeftOutReason, ignored: bool) {
        if !ignored {
            self.left_out.insert(path.to_owned(), reason);
        }
    }

    fn is_folder(&self, source: &Path) -> Result<bool, CliError> {
        let entry = self.project.entry(source);
        let entry = entry.map_err(|error| unreadable(source, error))?;
        Ok(matches!(entry, FileEntry::Folder))
    }

    fn is_environment(&self, folder: &Path) -> bool {
        self.project.entry(&folder.join("pyvenv.cfg")).is_ok()
    }

    /// Returns the error for a path whose links lead to `target`, outside the project.
    fn outside_project(&self, path: &Path, target: &Path) -> CliError {
        let (link, written) = self
            .project
            .first_link(path)
            .unwrap_or_else(|| (path.to_owned(), target.to_owned()));
        let message = format!(
            "the link {} points outside the project, to {}",
            link.display(),
            written.display()
        );
        let error = CliError::new(ExitKind::Usage, message);
        let error = if written == target {
            error
        } else {
            error.cause(format!("the path resolves to {}", target.display()))
        };
        error.help("replace the link by the file, or exclude the link with .dockerignore")
    }

    /// Packs the files into an archive. Blocks.
    pub(in crate::deploy) fn pack(&self) -> Result<Archive, CliError> {
        Archive::pack(&self.project, &self.files, &self.left_out)
    }

    /// Checks that each pattern of `--include` matches a file that is sent.
    pub(in crate::deploy) fn check_included(&self, patterns: &[String]) -> Result<(), CliError> {
        for pattern in patterns {
            let matcher = include_patterns(std::slice::from_ref(pattern))?;
            if !self.files.keys().any(|path| matcher.matches(path)) {
                let message = format!("--include: {pattern:?} matches no file that is sent");
                return Err(CliError::new(ExitKind::Usage, message).help(
                    "correct the pattern, which is relative to the project's folder; a Rust \
                     project sends only the files in `spec.files`",
                ));
            }
        }
        Ok(())
    }
}

fn link_to_folder(path: &Path) -> CliError {
    let message = format!("{} is a link to a folder", path.display());
    CliError::new(ExitKind::Usage, message)
        .help("replace the link by the folder, or exclude the link with .dockerignore")
}
