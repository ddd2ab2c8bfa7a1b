//! The `/etc` of sandboxes with namespaces: copies of the files that programs need, without files
//! that may contain a secret.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use super::shims::PROFILE;

/// The files and directories that are copied if every user may read them; `*` matches the rest of a
/// name.
const COPIED: &[&str] = &[
    "alternatives",
    "bash.bashrc",
    "bindresvport.blacklist",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "debian_version",
    "default/locale",
    "ethertypes",
    "fonts",
    "gai.conf",
    "gss",
    "host.conf",
    "hosts",
    "inputrc",
    "java-*",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale*",
    "localtime",
    "lsb-release",
    "magic",
    "magic.mime",
    "mailcap",
    "mime.types",
    "netconfig",
    "networks",
    "nsswitch.conf",
    "os-release",
    "perl",
    "pki/ca-trust",
    "pki/tls/cert.pem",
    "pki/tls/certs",
    "pki/tls/openssl.cnf",
    "protocols",
    "python3*",
    "resolv.conf",
    "rpc",
    "services",
    "shells",
    "ssl/cert.pem",
    "ssl/certs",
    "ssl/openssl.cnf",
    "terminfo",
    "timezone",
];

/// The directory in a sandbox that holds the sandbox's own files of `/etc`: its accounts, and the
/// variables of a template as the PPIO SDK writes them.
pub(crate) const OWN_SYSTEM: &str = ".ppio/system";

/// The copies that are updated whenever a sandbox starts, because they depend on the network that
/// the machine is connected to.
const CURRENT: &[&str] = &["hosts", "resolv.conf"];

/// Files of `/etc` of which each sandbox has its own; in the directory of [`SystemFiles`] they are
/// links into the sandbox.
const OWN: &[&str] = &["environment", "group", "passwd", "profile.d"];

/// Directories that a sandbox sees as they are on the machine, so links into them are kept.
const VISIBLE: &[&str] = &["/usr", "/nix", "/bin", "/sbin", "/lib", "/lib64"];

/// The largest file that is copied, in bytes.
const MAX_SIZE: u64 = 16 << 20;
const MAX_DEPTH: usize = 8;

/// The directory that sandboxes see as `/etc`.
#[derive(Debug)]
pub(crate) struct SystemFiles {
    directory: PathBuf,
}

impl SystemFiles {
    /// Writes the directory again, because the machine may have changed since the last start.
    /// Creates mount points for the paths of `exposed` below `/etc`.
    pub(crate) fn write(directory: PathBuf, exposed: &[PathBuf]) -> io::Result<Self> {
        match fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        make_directory(&directory)?;
        let files = Self { directory };
        for pattern in COPIED {
            let (parent, name) = pattern.rsplit_once('/').unwrap_or(("", pattern));
            let source = Path::new("/etc").join(parent);
            let target = files.directory.join(parent);
            if !pattern.contains('*') && fs::symlink_metadata(source.join(name)).is_err() {
                continue;
            }
            make_directory(&target)?;
            for name in matches(&source, name) {
                copy(&source.join(&name), &target.join(&name), MAX_DEPTH)?;
            }
        }
        fs::write(files.directory.join("profile"), PROFILE)?;
        fs::write(files.directory.join("hostname"), "sandbox\n")?;
        symlink("/proc/mounts", files.directory.join("mtab"))?;
        // A sandbox whose network `pasta` connects has another file mounted here.
        let resolv_conf = files.directory.join("resolv.conf");
        if fs::symlink_metadata(&resolv_conf).is_err() {
            fs::write(resolv_conf, "")?;
        }
        for name in OWN {
            symlink(
                Path::new("/").join(OWN_SYSTEM).join("etc").join(name),
                files.directory.join(name),
            )?;
        }
        for path in exposed {
            if let Ok(below) = path.strip_prefix("/etc") {
                files.make_mount_point(below, path.is_dir())?;
            }
        }
        Ok(files)
    }

    fn make_mount_point(&self, below: &Path, is_directory: bool) -> io::Result<()> {
        let place = self.directory.join(below);
        match fs::symlink_metadata(&place) {
            Ok(found) if found.is_symlink() => fs::remove_file(&place)?,
            Ok(_) => return Ok(()),
            Err(_) => {}
        }
        if is_directory {
            return fs::create_dir_all(place);
        }
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(place, "")
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Updates the copies in [`CURRENT`], in place, so that running sandboxes see the change.
    pub(crate) fn refresh(&self) {
        for name in CURRENT {
            let (source, target) = (Path::new("/etc").join(name), self.directory.join(name));
            if let Ok(now) = fs::read(source)
                && fs::read(&target).is_ok_and(|before| before != now)
                && let Err(error) = fs::write(&target, now)
            {
                tracing::warn!(%error, "failed to update {}", target.display());
            }
        }
    }
}

/// Returns the names in `directory` that match `pattern`.
fn matches(directory: &Path, pattern: &str) -> Vec<String> {
    let Some(start) = pattern.strip_suffix('*') else {
        return vec![pattern.to_owned()];
    };
    let names = fs::read_dir(directory).into_iter().flatten().flatten();
    names
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with(start))
        .collect()
}

/// Copies files, directories and links that every user may read, and leaves out the rest.
fn copy(source: &Path, target: &Path, depth: usize) -> io::Result<()> {
    let Ok(real) = source.canonicalize() else {
        // A dangling link.
        return Ok(());
    };
    let Ok(metadata) = real.metadata() else {
        return Ok(());
    };
    let mode = metadata.permissions().mode();
    if source.is_symlink() && VISIBLE.iter().any(|visible| real.starts_with(visible)) {
        return symlink(real, target);
    }
    if metadata.is_dir() {
        if depth == 0 || mode & 0o005 != 0o005 {
            return Ok(());
        }
        make_directory(target)?;
        for entry in fs::read_dir(real)?.flatten() {
            copy(&entry.path(), &target.join(entry.file_name()), depth - 1)?;
        }
        return Ok(());
    }
    if !metadata.is_file() || mode & 0o004 == 0 || metadata.len() > MAX_SIZE {
        return Ok(());
    }
    let mut content = Vec::new();
    File::open(real)?.read_to_end(&mut content)?;
    fs::write(target, content)?;
    fs::set_permissions(target, fs::Permissions::from_mode(0o644 | (mode & 0o111)))
}

fn make_directory(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    // Regardless of the platform's umask: each sandbox has a user of its own.
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_that_every_user_may_read_are_copied() {
        let home = tempfile::tempdir().unwrap();
        let source = home.path().join("etc");
        fs::create_dir_all(source.join("private")).unwrap();
        for (name, mode) in [("open", 0o644), ("secret", 0o640), ("private/key", 0o644)] {
            fs::write(source.join(name), name).unwrap();
            fs::set_permissions(source.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::set_permissions(source.join("private"), fs::Permissions::from_mode(0o750)).unwrap();
        symlink("secret", source.join("link-to-secret")).unwrap();
        symlink("open", source.join("link-to-open")).unwrap();
        symlink("/usr/bin/env", source.join("link-to-program")).unwrap();
        symlink("nowhere", source.join("dangling")).unwrap();

        let target = home.path().join("copy");
        copy(&source, &target, MAX_DEPTH).unwrap();
        let mut names: Vec<_> = fs::read_dir(&target)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["link-to-open", "link-to-program", "open"]);
        assert!(target.join("link-to-program").is_symlink());
        assert_eq!(fs::read(target.join("link-to-open")).unwrap(), b"open");
    }

    #[test]
    fn accounts_and_keys_of_the_machine_are_left_out() {
        let home = tempfile::tempdir().unwrap();
        let exposed = [PathBuf::from("/etc/hostname")];
        let files = SystemFiles::write(home.path().join("etc"), &exposed).unwrap();
        for name in [
            "shadow",
            "sudoers",
            "ssh",
            "pip.conf",
            "machine-id",
            "ssl/private",
        ] {
            assert!(!files.directory().join(name).exists(), "{name}");
        }
        for name in OWN {
            assert!(files.directory().join(name).is_symlink(), "{name}");
        }
        assert!(files.directory().join("ld.so.cache").is_file());
        // Written again over what is there.
        SystemFiles::write(home.path().join("etc"), &exposed).unwrap();
    }
}
