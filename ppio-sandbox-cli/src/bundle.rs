//! The files that are sent to the platform: collected, packed the same way every time, and named by their hash.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

use crate::docker_ignore::DockerIgnore;
use crate::failure::{Failure, Fault};

/// The folder of the archive that holds everything.
pub(crate) const ROOT: &str = "app";

/// Of all files together, in bytes. What is larger belongs into a volume or is fetched by the agent.
const MAX_SIZE: u64 = 512 * 1024 * 1024;

/// What no sandbox needs: repositories, caches, and keys that are nobody's business.
const NEVER: &str = "**/.git\n**/.hg\n**/.svn\n**/__pycache__\n**/*.pyc\n**/.DS_Store\n.env\n";

/// Files by the path that they get below the archive's root.
#[derive(Debug, Default)]
pub(crate) struct Bundle {
    files: BTreeMap<PathBuf, Content>,
}

#[derive(Debug)]
enum Content {
    Text(String),
    File { source: PathBuf, executable: bool },
}

/// A bundle ready to be sent.
#[derive(Debug)]
pub(crate) struct Archive {
    /// Of the bytes, in hexadecimal digits.
    pub(crate) hash: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) files: usize,
}

impl Bundle {
    /// Adds a file whose content is this text, in place of one with the same path.
    pub(crate) fn text(&mut self, path: &str, text: String) {
        self.files.insert(path.into(), Content::Text(text));
    }

    /// Adds a program.
    pub(crate) fn program(&mut self, path: &str, source: PathBuf) -> Result<(), Failure> {
        let content = Content::File {
            source,
            executable: true,
        };
        match self.files.insert(path.into(), content) {
            None => Ok(()),
            Some(_) => Err(Failure::new(
                Fault::Usage,
                format!("`{path}` is both the agent's program and a file of `spec.files`"),
            )
            .next("rename the file")),
        }
    }

    /// Adds all of a project's folder, without what `.dockerignore` leaves out. Blocks.
    pub(crate) fn folder(&mut self, project: &Path) -> Result<(), Failure> {
        let ignore = ignored_in(project)?;
        Walk {
            project,
            ignore: &ignore,
            bundle: self,
        }
        .folder(Path::new(""))
    }

    /// Adds one file or folder of a project, by its path in agent.yaml. Blocks.
    pub(crate) fn entry(&mut self, project: &Path, path: &str) -> Result<(), Failure> {
        let outside = || {
            let what = format!("spec.files: {path:?} is not a path inside the project");
            Failure::new(Fault::Usage, what)
                .next("write it relative to agent.yaml and without `..`")
        };
        let mut clean = PathBuf::new();
        for part in Path::new(path).components() {
            match part {
                Component::Normal(name) => clean.push(name),
                Component::CurDir => {}
                _ => return Err(outside()),
            }
        }
        if !project.join(&clean).exists() {
            let what = format!("spec.files: {path:?} is not there");
            return Err(Failure::new(Fault::Usage, what)
                .next("correct the path in agent.yaml; it starts at the folder of agent.yaml"));
        }
        let ignore = ignored_in(project)?;
        Walk {
            project,
            ignore: &ignore,
            bundle: self,
        }
        .entry(&clean)
    }

    pub(crate) fn holds(&self, path: &str) -> bool {
        self.files.contains_key(Path::new(path))
    }

    /// Packs it. The same files make the same bytes, wherever and whenever: neither times nor owners go in. Blocks.
    pub(crate) fn pack(&self) -> Result<Archive, Failure> {
        self.check_size()?;
        let bytes = self
            .packed()
            .map_err(|error| Failure::system("cannot pack the project's files", error))?;
        Ok(Archive {
            hash: format!("{:x}", Sha256::digest(&bytes)),
            bytes,
            files: self.files.len(),
        })
    }

    fn check_size(&self) -> Result<(), Failure> {
        let mut sizes: Vec<(u64, &Path)> = Vec::new();
        for (path, content) in &self.files {
            let size = match content {
                Content::Text(text) => text.len() as u64,
                Content::File { source, .. } => fs::metadata(source)
                    .map_err(|error| unreadable(source, error))?
                    .len(),
            };
            sizes.push((size, path));
        }
        let total: u64 = sizes.iter().map(|(size, _)| size).sum();
        if total <= MAX_SIZE {
            return Ok(());
        }
        sizes.sort_unstable();
        let what = format!(
            "the project's files are {} MiB, more than {} MiB",
            total >> 20,
            MAX_SIZE >> 20
        );
        let mut failure = Failure::new(Fault::Usage, what);
        for (size, path) in sizes.iter().rev().take(3) {
            failure = failure.reason(format!("{} is {} MiB", path.display(), size >> 20));
        }
        Err(failure.next("leave out what the agent does not need with .dockerignore"))
    }

    fn packed(&self) -> io::Result<Vec<u8>> {
        let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
        for (path, content) in &self.files {
            let (bytes, executable) = match content {
                Content::Text(text) => (text.clone().into_bytes(), false),
                Content::File { source, executable } => (fs::read(source)?, *executable),
            };
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::Regular);
            header.set_size(bytes.len() as u64);
            header.set_mode(if executable { 0o755 } else { 0o644 });
            header.set_mtime(0);
            header.set_uid(0);
            header.set_gid(0);
            archive.append_data(&mut header, Path::new(ROOT).join(path), bytes.as_slice())?;
        }
        let mut encoder = archive.into_inner()?;
        encoder.flush()?;
        encoder.finish()
    }
}

fn ignored_in(project: &Path) -> Result<DockerIgnore, Failure> {
    let path = project.join(".dockerignore");
    let own = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(unreadable(&path, error)),
    };
    // First by itself, so that the line of a mistake is the file's.
    DockerIgnore::parse(&own)
        .and_then(|_| DockerIgnore::parse(&format!("{NEVER}{own}")))
        .map_err(|error| Failure::new(Fault::Usage, error.to_string()).next("correct the pattern"))
}

fn unreadable(path: &Path, error: io::Error) -> Failure {
    Failure::system(format!("cannot read {}", path.display()), error)
}

/// A walk through a project that fills a bundle. Paths are relative to the project.
struct Walk<'a> {
    project: &'a Path,
    ignore: &'a DockerIgnore,
    bundle: &'a mut Bundle,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path) -> Result<(), Failure> {
        let place = self.project.join(folder);
        let entries = fs::read_dir(&place).map_err(|error| unreadable(&place, error))?;
        for entry in entries {
            let entry = entry.map_err(|error| unreadable(&place, error))?;
            self.entry(&folder.join(entry.file_name()))?;
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path) -> Result<(), Failure> {
        let out = self.ignore.leaves_out(path);
        if out && !self.ignore.has_exceptions() {
            return Ok(());
        }
        let source = self.project.join(path);
        let link = fs::symlink_metadata(&source).map_err(|error| unreadable(&source, error))?;
        // What a link stands for; one into nothing is somebody else's lock or socket.
        let Ok(metadata) = fs::metadata(&source) else {
            return Ok(());
        };
        if metadata.is_dir() {
            // A virtual environment works only where it was made.
            if source.join("pyvenv.cfg").exists() {
                return Ok(());
            }
            if link.is_symlink() {
                let what = format!("{} is a link to a folder", path.display());
                return Err(Failure::new(Fault::Usage, what)
                    .next("put the folder in its place, or leave it out with .dockerignore"));
            }
            return self.folder(path);
        }
        if metadata.is_file() && !out {
            let executable = metadata.permissions().mode() & 0o111 != 0;
            let content = Content::File { source, executable };
            self.bundle.files.insert(path.to_owned(), content);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn paths(bundle: &Bundle) -> Vec<&str> {
        bundle
            .files
            .keys()
            .map(|path| path.to_str().unwrap())
            .collect()
    }

    #[test]
    fn a_folder_goes_without_what_is_left_out() {
        let project = project(&[
            ("agent.py", "print()"),
            ("data/a.txt", "a"),
            ("data/b.tmp", "b"),
            (".git/HEAD", "x"),
            ("__pycache__/agent.pyc", "x"),
            ("environment/pyvenv.cfg", "x"),
            ("environment/lib/x.py", "x"),
            (".env", "KEY=1"),
            (".dockerignore", "**/*.tmp\n"),
        ]);
        let mut bundle = Bundle::default();
        bundle.folder(project.path()).unwrap();
        assert_eq!(paths(&bundle), [".dockerignore", "agent.py", "data/a.txt"]);

        fs::write(
            project.path().join(".dockerignore"),
            "data\n!data/b.tmp\n!.env",
        )
        .unwrap();
        let mut bundle = Bundle::default();
        bundle.folder(project.path()).unwrap();
        assert_eq!(
            paths(&bundle),
            [".dockerignore", ".env", "agent.py", "data/b.tmp"]
        );
    }

    #[test]
    fn links_to_files_become_files_and_links_to_folders_are_refused() {
        let project = project(&[("real.txt", "real"), ("folder/a", "a")]);
        symlink("real.txt", project.path().join("link.txt")).unwrap();
        symlink("nowhere", project.path().join("broken")).unwrap();
        let mut bundle = Bundle::default();
        bundle.folder(project.path()).unwrap();
        assert_eq!(paths(&bundle), ["folder/a", "link.txt", "real.txt"]);
        symlink("folder", project.path().join("again")).unwrap();
        let failure = Bundle::default().folder(project.path()).unwrap_err();
        assert!(failure.what.contains("again is a link"), "{failure:?}");
    }

    #[test]
    fn entries_stay_inside_the_project() {
        let project = project(&[("prompts/a.txt", "a")]);
        let mut bundle = Bundle::default();
        bundle.entry(project.path(), "./prompts").unwrap();
        assert_eq!(paths(&bundle), ["prompts/a.txt"]);
        for bad in ["../x", "/etc/passwd", "prompts/../..", "missing"] {
            let failure = Bundle::default().entry(project.path(), bad).unwrap_err();
            assert_eq!(failure.fault, Fault::Usage, "{failure:?}");
        }
    }

    #[test]
    fn the_same_files_make_the_same_archive() {
        let archive = || {
            let project = project(&[("run", "#!/bin/sh"), ("a/b.txt", "b")]);
            let run = project.path().join("run");
            fs::set_permissions(run, fs::Permissions::from_mode(0o700)).unwrap();
            let mut bundle = Bundle::default();
            bundle.folder(project.path()).unwrap();
            bundle.text("agent.yaml", "a: 1\n".into());
            bundle.pack().unwrap()
        };
        let (one, two) = (archive(), archive());
        assert_eq!((&one.hash, &one.bytes), (&two.hash, &two.bytes));
        assert_eq!((one.hash.len(), one.files), (64, 3));
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(one.bytes.as_slice()));
        let entries: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let path = entry.path().unwrap().to_string_lossy().into_owned();
                (path, entry.header().mode().unwrap())
            })
            .collect();
        let expected = [
            ("app/a/b.txt", 0o644),
            ("app/agent.yaml", 0o644),
            ("app/run", 0o755),
        ];
        assert_eq!(
            entries,
            expected.map(|(path, mode)| (path.to_owned(), mode))
        );
    }
}
