//! The steps of a build, applied to the directory that becomes the template.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::archive;
use super::build_log::BuildLogWriter;
use super::record::Recipe;
use super::step::TemplateStep;
use super::uploads::archive_path;
use crate::files::{self, ConfinedPath, LastLink, confine};
use crate::identity;
use crate::isolation::{DEFAULT_PATH, SandboxCommand, SandboxProcesses};
use crate::processes;
use crate::sandbox::{LineCutter, SandboxLogLevel, UnknownUser, check_user, user_environment};

/// The timeout of one command of a build.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// The time to wait for more output after a command has ended, while a child of the command still
/// has the pipe open.
const OUTPUT_DRAIN_TIMEOUT: Duration = Duration::from_millis(200);

#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    #[error("the files of this step were not uploaded")]
    NoUpload,
    #[error("{0} is not among the files of this step")]
    NoSource(String),
    #[error(transparent)]
    Path(#[from] crate::files::PathError),
    #[error(transparent)]
    Archive(#[from] archive::ArchiveError),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the command ended with {0}")]
    Command(std::process::ExitStatus),
    /// The error text is the same as in E2B's builds.
    #[error("failed to run command '{command}': command failed: unauthenticated: {user}")]
    User { command: String, user: UnknownUser },
    #[error("the command took longer than {} s", COMMAND_TIMEOUT.as_secs())]
    TooLong,
}

/// The directory of a build and what its steps have set so far.
#[derive(Debug)]
pub(crate) struct StepRunner {
    pub(crate) root: PathBuf,
    pub(crate) scratch: PathBuf,
    pub(crate) template_directory: PathBuf,
    pub(crate) recipe: Recipe,
    pub(crate) log: Arc<BuildLogWriter>,
}

impl StepRunner {
    fn base(&self) -> String {
        self.recipe
            .directory
            .clone()
            .unwrap_or_else(|| "/home/user".into())
    }

    /// Applies every step except `TemplateStep::Run`, which needs a sandbox. Blocks.
    pub(crate) fn apply(&mut self, step: &TemplateStep) -> Result<(), StepError> {
        match step {
            TemplateStep::Copy {
                source,
                target,
                mode,
                hash,
            } => {
                let archive = archive_path(&self.template_directory, hash);
                if !archive.is_file() {
                    return Err(StepError::NoUpload);
                }
                let unpacked = self.scratch.join(identity::short_id('x'));
                std::fs::create_dir_all(&unpacked)?;
                archive::unpack(&archive, &unpacked)?;
                // A source can name only files of the archive, even with `..` and through links.
                let among_files =
                    |path: &str| confine(&unpacked, "/", &format!("/{path}"), LastLink::Follow);
                let found = among_files(source)?;
                // A pattern such as `src/*.py` was resolved by the client: it stands for all files
                // of the archive below the directory before its first wildcard.
                let of_pattern = fixed_part(source).map(|directory| among_files(&directory));
                match (found.metadata().is_ok(), of_pattern) {
                    (true, _) => self.copy_into(&found, target, *mode)?,
                    (false, Some(directory)) => {
                        let directory = directory?;
                        if !directory.metadata().is_ok_and(|found| found.is_dir()) {
                            return Err(StepError::NoSource(source.clone()));
                        }
                        self.copy_into(&directory, target, *mode)?;
                    }
                    (false, None) => return Err(StepError::NoSource(source.clone())),
                }
                std::fs::remove_dir_all(unpacked)?;
            }
            TemplateStep::Add { source, target } => {
                let source = ConfinedPath::on_host(source)?;
                self.copy_into(&source, target, None)?;
            }
            TemplateStep::Environment { variables } => {
                self.recipe.environment.extend(variables.iter().cloned());
            }
            TemplateStep::Directory { path } => {
                let mut directory = confine(&self.root, &self.base(), path, LastLink::Follow)?;
                match directory.make_directory() {
                    Err(_) if directory.metadata().is_ok_and(|found| found.is_dir()) => {}
                    made => made?,
                }
                self.recipe.directory = Some(directory.inside.to_string_lossy().into_owned());
            }
            TemplateStep::User { name } => self.recipe.user = Some(name.clone()),
            TemplateStep::Run { .. } => {}
        }
        // The next step may run a file that this step wrote.
        processes::wait_for_starts();
        Ok(())
    }

    /// Copies a file to a file or into a directory, or the content of a directory into a directory.
    fn copy_into(
        &self,
        source: &ConfinedPath,
        target: &str,
        mode: Option<u32>,
    ) -> Result<(), StepError> {
        let confined = |target: &str| confine(&self.root, &self.base(), target, LastLink::Follow);
        let mut place = confined(target)?;
        let into_directory =
            target.ends_with('/') || place.metadata().is_ok_and(|found| found.is_dir());
        if into_directory && !source.metadata()?.is_dir() {
            let name = source.inside.file_name().unwrap_or_default();
            place = confined(&format!("{target}/{}", name.to_string_lossy()))?;
        }
        place.make_parents()?;
        files::copy(source, &mut place)?;
        if let Some(mode) = mode
            && !place.metadata()?.is_symlink()
        {
            let placed = place.open()?;
            placed.set_permissions(std::fs::Permissions::from_mode(mode))?;
        }
        Ok(())
    }

    /// Runs a command in the sandbox of the build.
    pub(crate) async fn run(
        &self,
        sandbox_processes: &SandboxProcesses,
        command: &str,
        user: Option<&str>,
    ) -> Result<(), StepError> {
        let user = user.or(self.recipe.user.as_deref()).unwrap_or_default();
        check_user(user).map_err(|user| StepError::User {
            command: command.to_owned(),
            user,
        })?;
        let mut environment = user_environment(user);
        environment.insert("PATH".into(), DEFAULT_PATH.into());
        environment.insert("LANG".into(), "C.UTF-8".into());
        environment.extend(self.recipe.environment.clone());
        let run = SandboxCommand {
            program: "/bin/sh".into(),
            // One pipe for standard output and error, so that lines keep their order.
            arguments: vec!["-c".into(), format!("exec 2>&1\n{command}")],
            environment,
            directory: self.base(),
            terminal: false,
        };
        let mut command = sandbox_processes.command(&run);
        let (output, stdout) = processes::output_pipe(sandbox_processes.owner())?;
        command.stdout(stdout).kill_on_drop(true);
        let mut child = processes::spawn(&mut command)?;
        // While `command` holds the writing end, the output does not end.
        drop(command);
        let finished = tokio::time::timeout(COMMAND_TIMEOUT, async {
            let mut lines = std::pin::pin!(self.log_lines(output));
            tokio::select! {
                read = &mut lines => {
                    read?;
                    child.wait().await
                }
                status = child.wait() => {
                    // A background process may hold the pipe open.
                    if let Ok(read) = tokio::time::timeout(OUTPUT_DRAIN_TIMEOUT, lines).await {
                        read?;
                    }
                    status
                }
            }
        });
        let status = finished.await.map_err(|_| StepError::TooLong)??;
        if status.success() {
            Ok(())
        } else {
            Err(StepError::Command(status))
        }
    }

    async fn log_lines(&self, mut output: tokio::net::unix::pipe::Receiver) -> io::Result<()> {
        use tokio::io::AsyncReadExt as _;
        let mut cutter = LineCutter::default();
        let mut buffer = vec![0; 8192];
        loop {
            let count = output.read(&mut buffer).await?;
            if count == 0 {
                cutter.finish(|line| self.log.push(SandboxLogLevel::Info, line));
                return Ok(());
            }
            cutter.feed(&buffer[..count], |line| {
                self.log.push(SandboxLogLevel::Info, line);
            });
        }
    }
}

/// Returns the directory before the first part of a pattern that has a wildcard. `None` without
/// wildcards.
fn fixed_part(pattern: &str) -> Option<String> {
    let parts: Vec<_> = pattern.split('/').collect();
    let wild = parts
        .iter()
        .position(|part| part.contains(['*', '?', '[']))?;
    let directory = parts[..wild].join("/");
    Some(if directory.is_empty() {
        ".".to_owned()
    } else {
        directory
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_source_is_found_in_the_archive_only() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        for place in ["root", "scratch", "template/files"] {
            fs::create_dir_all(at(place)).unwrap();
        }
        fs::write(at("scratch/secret"), "secret").unwrap();
        let mut archive = tar::Builder::new(fs::File::create(at("template/files/abc")).unwrap());
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(5);
        archive
            .append_data(&mut header, "here/file", &b"found"[..])
            .unwrap();
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        archive.append_link(&mut header, "up", "here").unwrap();
        archive
            .append_link(&mut header, "out", at("scratch"))
            .unwrap();
        archive.finish().unwrap();

        let mut runner = StepRunner {
            root: at("root"),
            scratch: at("scratch"),
            template_directory: at("template"),
            recipe: Recipe::default(),
            log: Arc::default(),
        };
        let mut copy = |source: &str| {
            runner.apply(&TemplateStep::Copy {
                source: source.into(),
                target: "/copied".into(),
                mode: None,
                hash: "abc".into(),
            })
        };
        for source in [
            "../secret",
            "here/../../secret",
            "/../secret",
            "up/../../secret",
            "out/secret",
            "out/*",
            "missing/*",
            "~",
        ] {
            let outcome = copy(source);
            assert!(
                matches!(outcome, Err(StepError::NoSource(_))),
                "{source}: {outcome:?}"
            );
        }
        assert!(!at("root/copied").exists());
        for source in ["here/file", "./here/file", "/here/file", "up/file"] {
            copy(source).unwrap();
            assert_eq!(fs::read(at("root/copied")).unwrap(), b"found", "{source}");
        }
        fs::remove_file(at("root/copied")).unwrap();
        for (source, path) in [
            ("here/*", "file"),
            ("./here/f*", "file"),
            ("*", "here/file"),
        ] {
            copy(source).unwrap();
            let path = at("root/copied").join(path);
            assert_eq!(fs::read(&path).unwrap(), b"found", "{source}");
            fs::remove_dir_all(at("root/copied")).unwrap();
        }
    }
}
