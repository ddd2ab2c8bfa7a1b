//! The files of a bundle as a compressed tar archive.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::project_files::{ProjectFileInfo, ProjectFiles, unreadable};
use crate::error::{CliError, ExitKind};

/// The folder of the archive that holds all files.
pub(in crate::deploy) const ARCHIVE_ROOT: &str = "app";

/// The maximum total size of the files, in bytes.
const MAX_SIZE: u64 = 512 * 1024 * 1024;
/// The total size above which a warning is printed, in bytes.
const LARGE_SIZE: u64 = 100 * 1024 * 1024;

pub(in crate::deploy) const LEAVE_OUT_HELP: &str =
    "leave out what the agent does not need with .dockerignore or, in a Rust project, `spec.files`";

/// A bundle that is ready to be sent.
#[derive(Debug, Default)]
pub(in crate::deploy) struct Archive {
    /// SHA-256 of the bytes, in hexadecimal digits.
    pub(in crate::deploy) hash: String,
    pub(in crate::deploy) bytes: Vec<u8>,
    /// The sizes before the compression.
    pub(in crate::deploy) sizes: FileSizes,
    /// The number of files.
    pub(in crate::deploy) files: usize,
    pub(in crate::deploy) left_out: Vec<LeftOutFile>,
}

/// The size of all files together, and the largest files.
#[derive(Debug, Clone, Default)]
pub(in crate::deploy) struct FileSizes {
    /// The size of all files together, in bytes.
    total: u64,
    /// At most three files of 1 MiB or more, the largest first, with their sizes in bytes.
    largest: Vec<(u64, PathBuf)>,
}

/// The source of the bytes of a file.
#[derive(Debug)]
pub(super) enum FileContent {
    Text(String),
    /// A file of the project, by its path relative to the project.
    Project {
        path: PathBuf,
        info: ProjectFileInfo,
    },
    /// The compiled program, by its path on this machine.
    Program(PathBuf),
}

/// A file or folder that is not sent for a reason other than `.dockerignore`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(in crate::deploy) struct LeftOutFile {
    pub(in crate::deploy) path: String,
    pub(in crate::deploy) reason: LeftOutReason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::deploy) enum LeftOutReason {
    /// The file or folder has the name of a secret, or is a link to a path with such a name.
    Secret,
    /// A link whose target does not exist, or a loop of links.
    BrokenLink,
    /// A Python virtual environment, which works only where it was created.
    VirtualEnvironment,
    /// A socket, a pipe or a device.
    NotAFile,
}

impl Archive {
    /// Packs the files. The same files give the same bytes, because neither times nor owners are
    /// stored. Blocks.
    pub(super) fn pack(
        project: &ProjectFiles,
        files: &BTreeMap<PathBuf, FileContent>,
        left_out: &BTreeMap<PathBuf, LeftOutReason>,
    ) -> Result<Self, CliError> {
        let sizes = FileSizes::of(files)?;
        sizes.check()?;
        let bytes = compress(project, files)
            .map_err(|error| CliError::system("cannot pack the project's files", error))?;
        let digest = Sha256::digest(&bytes);
        let left_out = left_out.iter().map(|(path, reason)| LeftOutFile {
            path: path.to_string_lossy().into_owned(),
            reason: *reason,
        });
        Ok(Self {
            hash: format!("{digest:x}"),
            bytes,
            sizes,
            files: files.len(),
            left_out: left_out.collect(),
        })
    }
}

impl FileSizes {
    fn of(files: &BTreeMap<PathBuf, FileContent>) -> Result<Self, CliError> {
        let mut sizes = Vec::new();
        for (path, content) in files {
            let size = match content {
                FileContent::Text(text) => text.len() as u64,
                FileContent::Project { info, .. } => info.size,
                FileContent::Program(source) => fs::metadata(source)
                    .map_err(|error| unreadable(source, error))?
                    .len(),
            };
            sizes.push((size, path.clone()));
        }
        let total = sizes.iter().map(|(size, _)| size).sum();
        sizes.sort_unstable();
        let large = |(size, _): &(u64, PathBuf)| *size >= 1 << 20;
        let largest = sizes.into_iter().rev().filter(large).take(3).collect();
        Ok(Self { total, largest })
    }

    /// Returns the largest files with their sizes, as parts of a message.
    pub(in crate::deploy) fn largest(&self) -> impl Iterator<Item = String> {
        self.largest
            .iter()
            .map(|(size, path)| format!("{} is {} MiB", path.display(), size >> 20))
    }

    /// Returns a warning about files that take long to send, and that a platform may refuse.
    pub(in crate::deploy) fn warning(&self) -> Option<String> {
        (self.total > LARGE_SIZE).then(|| {
            let largest: Vec<_> = self.largest().collect();
            format!(
                "the project's files are {} MiB ({}); {LEAVE_OUT_HELP}",
                self.total >> 20,
                largest.join(", ")
            )
        })
    }

    fn check(&self) -> Result<(), CliError> {
        if self.total <= MAX_SIZE {
            return Ok(());
        }
        let message = format!(
            "the project's files are {} MiB, more than {} MiB",
            self.total >> 20,
            MAX_SIZE >> 20
        );
        let error = CliError::new(ExitKind::Usage, message).help(LEAVE_OUT_HELP);
        Err(CliError {
            causes: self.largest().collect(),
            ..error
        })
    }
}

fn compress(project: &ProjectFiles, files: &BTreeMap<PathBuf, FileContent>) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (path, content) in files {
        let (bytes, executable) = match content {
            FileContent::Text(text) => (text.clone().into_bytes(), false),
            FileContent::Project { path, info } => {
                (read(project.open_file(path), path)?, info.executable)
            }
            FileContent::Program(source) => (read(File::open(source), source)?, true),
        };
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_size(bytes.len() as u64);
        header.set_mode(if executable { 0o755 } else { 0o644 });
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        let path = Path::new(ARCHIVE_ROOT).join(path);
        archive.append_data(&mut header, path, bytes.as_slice())?;
    }
    let mut encoder = archive.into_inner()?;
    encoder.flush()?;
    encoder.finish()
}

fn read(file: io::Result<File>, path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.and_then(|mut file| file.read_to_end(&mut bytes))
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    Ok(bytes)
}
