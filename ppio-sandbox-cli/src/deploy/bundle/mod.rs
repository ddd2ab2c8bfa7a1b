//! The files that are sent to the platform: collected, packed the same way every time, and named by their hash.

mod project_files;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Component, Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use self::project_files::{Entry, FileInfo, LinkTarget, ProjectFiles};
use crate::error::{Failure, Fault};
use crate::project::docker_ignore::{DockerIgnore, PatternError};
use crate::project::secrets::Secrets;

/// The folder of the archive that holds everything.
pub(crate) const ROOT: &str = "app";

/// Of all files together, in bytes. What is larger belongs into a volume or is fetched by the agent.
const MAX_SIZE: u64 = 512 * 1024 * 1024;

/// What no sandbox needs: repositories and caches.
const NEVER: &str = "**/.git\n**/.hg\n**/.svn\n**/__pycache__\n**/*.pyc\n**/.DS_Store\n";

/// Files by the path that they get below the archive's root.
#[derive(Debug)]
pub(crate) struct Bundle {
    project: ProjectFiles,
    rules: Rules,
    files: BTreeMap<PathBuf, Content>,
    left_out: BTreeMap<PathBuf, Reason>,
}

#[derive(Debug)]
enum Content {
    Text(String),
    /// A file of the project, by its path there.
    Project {
        path: PathBuf,
        info: FileInfo,
    },
    /// The agent's program, wherever cargo puts it.
    Program(PathBuf),
}

/// A bundle ready to be sent.
#[derive(Debug)]
pub(crate) struct Archive {
    /// Of the bytes, in hexadecimal digits.
    pub(crate) hash: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) files: usize,
    pub(crate) left_out: Vec<LeftOut>,
}

/// A file or folder that is not sent although no `.dockerignore` says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct LeftOut {
    pub(crate) path: String,
    pub(crate) reason: Reason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reason {
    /// A secret by its name.
    Secret,
    /// A link to nothing.
    BrokenLink,
    /// A Python environment, which works only where it was made.
    VirtualEnvironment,
    /// A socket, a pipe or a device.
    NotAFile,
}

/// What decides whether a path of the project is sent.
#[derive(Debug)]
struct Rules {
    secrets: Secrets,
    never: DockerIgnore,
    /// `NEVER` and the project's `.dockerignore`, which may keep what `NEVER` leaves out.
    ignore: DockerIgnore,
    /// The patterns of `--include`.
    include: DockerIgnore,
}

enum Decision<'a> {
    Send,
    /// By `.dockerignore`; what is in a folder may be kept all the same.
    Ignore,
    /// The path, or the folder above it, is a secret by its name.
    Secret(&'a Path),
}

impl Rules {
    /// Reads the project's `.dockerignore`.
    fn read(project: &Path, include: &[String]) -> Result<Self, Failure> {
        let path = project.join(".dockerignore");
        let own = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(unreadable(&path, error)),
        };
        let wrong = |error: PatternError| {
            Failure::new(Fault::Usage, error.to_string()).next("correct the pattern")
        };
        // First by itself, so that the line of a mistake is the file's.
        DockerIgnore::parse(&own).map_err(wrong)?;
        Ok(Self {
            secrets: Secrets::new()
                .map_err(|error| Failure::system("cannot read the list of secrets", error))?,
            never: DockerIgnore::parse(NEVER).map_err(wrong)?,
            ignore: DockerIgnore::parse(&format!("{NEVER}{own}")).map_err(wrong)?,
            include: included(include)?,
        })
    }

    /// Repositories and caches aside, `--include` decides first, then the names of secrets, then `.dockerignore`: a `!` there says what belongs to
    /// the agent and brings no secret in.
    fn decide<'a>(&self, path: &'a Path) -> Decision<'a> {
        if self.never.leaves_out(path) && self.ignore.leaves_out(path) {
            return Decision::Ignore;
        }
        if self.include.matches(path) {
            return Decision::Send;
        }
        match self.secrets.names_part_of(path) {
            Some(secret) => Decision::Secret(secret),
            None if self.ignore.leaves_out(path) => Decision::Ignore,
            None => Decision::Send,
        }
    }
}

/// The patterns that `--include` names. They are read as lines of `.dockerignore`, and what those would leave out is
/// what is sent.
fn included(patterns: &[String]) -> Result<DockerIgnore, Failure> {
    let wrong = |pattern: &str, why: &str| {
        Failure::new(Fault::Usage, format!("--include: {pattern:?} {why}"))
            .next("write a path of the project or a pattern, as in `--include 'certs/*.pem'`")
    };
    for pattern in patterns {
        if pattern.starts_with(['!', '#']) || pattern.contains('\n') {
            return Err(wrong(pattern, "is not a pattern"));
        }
        DockerIgnore::parse(pattern)
            .map_err(|error| wrong(pattern, &format!("is not a pattern: {}", error.reason())))?;
    }
    let lines = patterns.join("\n");
    DockerIgnore::parse(&lines).map_err(|error| wrong(&lines, &error.reason()))
}

impl Bundle {
    /// An empty one for the files of a project. `include` are patterns of what is sent although its name or
    /// `.dockerignore` say otherwise. Blocks.
    pub(crate) fn new(project: &Path, include: &[String]) -> Result<Self, Failure> {
        let rules = Rules::read(project, include)?;
        let project = ProjectFiles::open(project).map_err(|error| unreadable(project, error))?;
        Ok(Self {
            project,
            rules,
            files: BTreeMap::new(),
            left_out: BTreeMap::new(),
        })
    }

    /// Adds a file whose content is this text. A file of the project with the same path is not added later.
    pub(crate) fn text(&mut self, path: &str, text: String) {
        self.files.insert(path.into(), Content::Text(text));
    }

    /// Adds a program.
    pub(crate) fn program(&mut self, path: &str, source: PathBuf) -> Result<(), Failure> {
        match self.files.insert(path.into(), Content::Program(source)) {
            None => Ok(()),
            Some(_) => Err(Failure::new(
                Fault::Usage,
                format!("`{path}` is both the agent's program and a file of `spec.files`"),
            )
            .next("rename the file")),
        }
    }

    /// Adds all of the project, without secrets and what `.dockerignore` leaves out. Blocks.
    pub(crate) fn everything(&mut self) -> Result<(), Failure> {
        self.folder(Path::new(""), Path::new(""))
    }

    /// Adds one file or folder of the project, by its path in agent.yaml. Blocks.
    pub(crate) fn listed(&mut self, path: &str) -> Result<(), Failure> {
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
        if let Decision::Secret(_) = self.rules.decide(&clean) {
            let what = format!("spec.files: {path:?} is a secret by its name");
            return Err(Failure::new(Fault::Usage, what).next(format!(
                "take it out of agent.yaml, or insist with `--include '{}'`",
                clean.display()
            )));
        }
        // Folders on the way may be links as long as they stay inside.
        let source = match self.project.target(&clean) {
            Ok(LinkTarget::Inside(source)) => source,
            Ok(LinkTarget::Outside(target)) => return Err(self.leaves(&clean, &target)),
            Ok(LinkTarget::Missing) => {
                let what = format!("spec.files: {path:?} is not there");
                return Err(Failure::new(Fault::Usage, what).next(
                    "correct the path in agent.yaml; it starts at the folder of agent.yaml",
                ));
            }
            Err(error) => return Err(unreadable(&clean, error)),
        };
        if self.is_folder(&source)? {
            // By the name that it was listed under. One that is a link itself is refused as everywhere.
            if self
                .project
                .first_link(&clean)
                .is_some_and(|(link, _)| link == clean)
            {
                return Err(link_to_folder(&clean));
            }
            return self.folder(&clean, &source);
        }
        self.add(&clean, &source)
    }

    pub(crate) fn holds(&self, path: &str) -> bool {
        self.files.contains_key(Path::new(path))
    }

    /// Adds what is in a folder of the project, `source`, below the path `folder` of the archive.
    fn folder(&mut self, folder: &Path, source: &Path) -> Result<(), Failure> {
        let names = self
            .project
            .names(source)
            .map_err(|error| unreadable(source, error))?;
        for name in names {
            self.add(&folder.join(&name), &source.join(&name))?;
        }
        Ok(())
    }

    /// Adds what is at the path `source` of the project under the path `path`.
    fn add(&mut self, path: &Path, source: &Path) -> Result<(), Failure> {
        if self.files.contains_key(path) {
            return Ok(());
        }
        let entry = self
            .project
            .entry(source)
            .map_err(|error| unreadable(source, error))?;
        let decision = self.rules.decide(path);
        if let Decision::Secret(secret) = decision {
            // `--include` may name what is in it.
            if matches!(entry, Entry::Folder) && !self.rules.include.is_empty() {
                return self.folder(path, source);
            }
            self.left_out.insert(secret.to_owned(), Reason::Secret);
            return Ok(());
        }
        let ignored = matches!(decision, Decision::Ignore);
        if ignored && !self.rules.ignore.has_exceptions() && self.rules.include.is_empty() {
            return Ok(());
        }
        match entry {
            Entry::Folder if self.is_environment(source) => {
                self.leave_out(path, Reason::VirtualEnvironment, ignored);
                Ok(())
            }
            Entry::Folder => self.folder(path, source),
            _ if ignored => Ok(()),
            Entry::File(info) => {
                self.insert(path, source, info);
                Ok(())
            }
            Entry::Link(target) => self.link(path, target),
            Entry::Special => {
                self.leave_out(path, Reason::NotAFile, ignored);
                Ok(())
            }
        }
    }

    /// A link to a file of the project becomes that file.
    fn link(&mut self, path: &Path, target: LinkTarget) -> Result<(), Failure> {
        let target = match target {
            LinkTarget::Inside(target) => target,
            LinkTarget::Outside(target) => return Err(self.leaves(path, &target)),
            // Another program's lock, for example.
            LinkTarget::Missing => {
                self.leave_out(path, Reason::BrokenLink, false);
                return Ok(());
            }
        };
        // Another name makes no secret public; the link's own name may be what was included.
        if self.rules.secrets.hold(&target) && !self.rules.include.matches(path) {
            self.leave_out(path, Reason::Secret, false);
            return Ok(());
        }
        if self.rules.never.leaves_out(&target) {
            return Ok(());
        }
        let entry = self.project.entry(&target);
        match entry.map_err(|error| unreadable(&target, error))? {
            Entry::File(info) => self.insert(path, &target, info),
            Entry::Folder => return Err(link_to_folder(path)),
            Entry::Special | Entry::Link(_) => self.leave_out(path, Reason::NotAFile, false),
        }
        Ok(())
    }

    fn insert(&mut self, path: &Path, source: &Path, info: FileInfo) {
        let content = Content::Project {
            path: source.to_owned(),
            info,
        };
        self.files.insert(path.to_owned(), content);
    }

    fn leave_out(&mut self, path: &Path, reason: Reason, ignored: bool) {
        if !ignored {
            self.left_out.insert(path.to_owned(), reason);
        }
    }

    fn is_folder(&self, source: &Path) -> Result<bool, Failure> {
        let entry = self.project.entry(source);
        let entry = entry.map_err(|error| unreadable(source, error))?;
        Ok(matches!(entry, Entry::Folder))
    }

    fn is_environment(&self, folder: &Path) -> bool {
        self.project.entry(&folder.join("pyvenv.cfg")).is_ok()
    }

    /// The failure for a path whose links lead to `target`, outside of the project.
    fn leaves(&self, path: &Path, target: &Path) -> Failure {
        let (link, written) = self
            .project
            .first_link(path)
            .unwrap_or_else(|| (path.to_owned(), target.to_owned()));
        let what = format!(
            "the link {} leads out of the project, to {}",
            link.display(),
            written.display()
        );
        let failure = Failure::new(Fault::Usage, what);
        let failure = if written == target {
            failure
        } else {
            failure.reason(format!("that is {}", target.display()))
        };
        failure.next("put the file in its place, or leave it out with .dockerignore")
    }

    /// Packs it. The same files make the same bytes, wherever and whenever: neither times nor owners go in. Blocks.
    pub(crate) fn pack(&self) -> Result<Archive, Failure> {
        self.check_size()?;
        let bytes = self
            .packed()
            .map_err(|error| Failure::system("cannot pack the project's files", error))?;
        let digest = Sha256::digest(&bytes);
        let left_out = self.left_out.iter().map(|(path, reason)| LeftOut {
            path: path.to_string_lossy().into_owned(),
            reason: *reason,
        });
        Ok(Archive {
            hash: format!("{digest:x}"),
            bytes,
            files: self.files.len(),
            left_out: left_out.collect(),
        })
    }

    /// Checks that each pattern of `--include` names something that is sent.
    pub(crate) fn check_included(&self, patterns: &[String]) -> Result<(), Failure> {
        for pattern in patterns {
            let matcher = included(std::slice::from_ref(pattern))?;
            if !self.files.keys().any(|path| matcher.matches(path)) {
                let what = format!("--include: {pattern:?} matches no file that is sent");
                return Err(Failure::new(Fault::Usage, what).next(
                    "correct the pattern, which starts at the project's folder; of a Rust project only the files that \
                     `spec.files` lists are sent",
                ));
            }
        }
        Ok(())
    }

    fn check_size(&self) -> Result<(), Failure> {
        let mut sizes: Vec<(u64, &Path)> = Vec::new();
        for (path, content) in &self.files {
            let size = match content {
                Content::Text(text) => text.len() as u64,
                Content::Project { info, .. } => info.size,
                Content::Program(source) => fs::metadata(source)
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
                Content::Project { path, info } => {
                    (read(self.project.open_file(path), path)?, info.executable)
                }
                Content::Program(source) => (read(File::open(source), source)?, true),
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

fn read(file: io::Result<File>, path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.and_then(|mut file| file.read_to_end(&mut bytes))
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    Ok(bytes)
}

fn unreadable(path: &Path, error: io::Error) -> Failure {
    Failure::system(format!("cannot read {}", path.display()), error)
}

fn link_to_folder(path: &Path) -> Failure {
    let what = format!("{} is a link to a folder", path.display());
    Failure::new(Fault::Usage, what)
        .next("put the folder in its place, or leave it out with .dockerignore")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

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

    /// All of a project.
    fn everything(project: &tempfile::TempDir, include: &[&str]) -> Result<Bundle, Failure> {
        let include: Vec<_> = include.iter().map(|&pattern| pattern.into()).collect();
        let mut bundle = Bundle::new(project.path(), &include)?;
        bundle.everything()?;
        bundle.check_included(&include)?;
        Ok(bundle)
    }

    /// One entry of `spec.files`.
    fn listed(project: &tempfile::TempDir, path: &str) -> Result<Bundle, Failure> {
        let mut bundle = Bundle::new(project.path(), &[])?;
        bundle.listed(path)?;
        Ok(bundle)
    }

    fn left_out(bundle: &Bundle) -> Vec<(&str, Reason)> {
        let left_out = bundle.left_out.iter();
        left_out
            .map(|(path, reason)| (path.to_str().unwrap(), *reason))
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
        let bundle = everything(&project, &[]).unwrap();
        assert_eq!(paths(&bundle), [".dockerignore", "agent.py", "data/a.txt"]);
        assert_eq!(
            left_out(&bundle),
            [
                (".env", Reason::Secret),
                ("environment", Reason::VirtualEnvironment)
            ]
        );

        let own = "data\n!data/b.tmp\n!.env\n!.git/HEAD";
        fs::write(project.path().join(".dockerignore"), own).unwrap();
        let bundle = everything(&project, &[]).unwrap();
        assert_eq!(
            paths(&bundle),
            [".dockerignore", ".git/HEAD", "agent.py", "data/b.tmp"]
        );
    }

    #[test]
    fn secrets_are_left_out_unless_the_command_line_insists() {
        let project = project(&[
            ("agent.py", "print()"),
            (".env.local", "KEY=1"),
            (".env.example", "KEY="),
            (".aws/config", "x"),
            (".aws/credentials", "x"),
            ("certs/ca.pem", "x"),
            ("certs/server.KEY", "x"),
            (".git/key.pem", "x"),
            // Everything but the agent, which names no secret, and a folder that holds one.
            (".dockerignore", "*\n!agent.py\n!certs\n!.env*\n"),
        ]);
        symlink("../.aws/credentials", project.path().join("certs/harmless")).unwrap();
        let bundle = everything(&project, &[]).unwrap();
        assert_eq!(paths(&bundle), [".env.example", "agent.py"]);
        assert_eq!(
            left_out(&bundle),
            [
                (".aws", Reason::Secret),
                (".env.local", Reason::Secret),
                ("certs/ca.pem", Reason::Secret),
                ("certs/harmless", Reason::Secret),
                ("certs/server.KEY", Reason::Secret),
            ]
        );

        let insisted = ["**/*.pem", ".aws/config"];
        let bundle = everything(&project, &insisted).unwrap();
        assert_eq!(
            paths(&bundle),
            [".aws/config", ".env.example", "agent.py", "certs/ca.pem"]
        );
        for (pattern, what) in [("*.pem", "matches no file"), ("!a", "is not a pattern")] {
            let failure = everything(&project, &[pattern]).unwrap_err();
            assert_eq!(failure.fault, Fault::Usage);
            assert!(failure.what.contains(what), "{failure:?}");
        }
    }

    #[test]
    fn a_secret_that_is_listed_is_a_mistake_and_one_in_a_listed_folder_is_left_out() {
        let project = project(&[("data/a", "a"), ("data/.env", "x"), ("id_rsa", "x")]);
        let bundle = listed(&project, "data").unwrap();
        assert_eq!(paths(&bundle), ["data/a"]);
        assert_eq!(left_out(&bundle), [("data/.env", Reason::Secret)]);
        for path in ["id_rsa", "data/.env", "./data/.env"] {
            let failure = listed(&project, path).unwrap_err();
            assert!(failure.what.contains("is a secret by its name"));
            assert!(failure.next.unwrap().contains("--include"));
        }
        let mut bundle = Bundle::new(project.path(), &["id_rsa".into()]).unwrap();
        bundle.listed("id_rsa").unwrap();
        assert_eq!(paths(&bundle), ["id_rsa"]);
    }

    #[test]
    fn links_to_files_become_files_and_links_to_folders_are_refused() {
        let project = project(&[("real.txt", "real"), ("folder/a", "a")]);
        symlink("real.txt", project.path().join("link.txt")).unwrap();
        symlink("nowhere", project.path().join("broken")).unwrap();
        let bundle = everything(&project, &[]).unwrap();
        assert_eq!(paths(&bundle), ["folder/a", "link.txt", "real.txt"]);
        assert_eq!(left_out(&bundle), [("broken", Reason::BrokenLink)]);
        symlink("folder", project.path().join("again")).unwrap();
        let failure = everything(&project, &[]).unwrap_err();
        assert!(failure.what.contains("again is a link"), "{failure:?}");
        // On the way to what is listed it may stand for a folder of the project.
        let bundle = listed(&project, "again/a").unwrap();
        assert_eq!(paths(&bundle), ["again/a"]);
    }

    #[test]
    fn links_that_leave_the_project_are_refused_with_their_target() {
        let outside = project(&[("secret", "x"), ("folder/a", "x")]);
        let project = project(&[("agent.py", "a")]);
        let link = project.path().join("link");
        for target in ["secret", "folder"] {
            let target = outside.path().join(target);
            symlink(&target, &link).unwrap();
            let refused = [everything(&project, &[]), listed(&project, "link")];
            for failure in refused.map(Result::unwrap_err) {
                assert_eq!(failure.fault, Fault::Usage);
                let what = format!(
                    "the link link leads out of the project, to {}",
                    target.display()
                );
                assert_eq!(failure.what, what);
            }
            fs::remove_file(&link).unwrap();
        }
        // Through another link, and as a folder on the way.
        symlink("b", &link).unwrap();
        symlink(outside.path(), project.path().join("b")).unwrap();
        let failure = listed(&project, "link/secret").unwrap_err();
        assert!(failure.what.ends_with("the project, to b"), "{failure:?}");
        let target = outside.path().canonicalize().unwrap().join("secret");
        assert_eq!(failure.why, [format!("that is {}", target.display())]);
        // What is left out is not looked at.
        fs::write(project.path().join(".dockerignore"), "link\nb").unwrap();
        let bundle = everything(&project, &[]).unwrap();
        assert_eq!(paths(&bundle), [".dockerignore", "agent.py"]);
    }

    #[test]
    fn entries_stay_inside_the_project() {
        let project = project(&[("prompts/a.txt", "a")]);
        let bundle = listed(&project, "./prompts").unwrap();
        assert_eq!(paths(&bundle), ["prompts/a.txt"]);
        for bad in ["../x", "/etc/passwd", "prompts/../..", "missing"] {
            let failure = listed(&project, bad).unwrap_err();
            assert_eq!(failure.fault, Fault::Usage, "{failure:?}");
        }
    }

    #[test]
    fn the_same_files_make_the_same_archive() {
        let archive = || {
            let project = project(&[("run", "#!/bin/sh"), ("a/b.txt", "b")]);
            let run = project.path().join("run");
            fs::set_permissions(run, fs::Permissions::from_mode(0o700)).unwrap();
            let mut bundle = everything(&project, &[]).unwrap();
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
