//! Prepares the directory that becomes `/` of a sandbox.
//!
//! The files of a template may contain links. None is followed, because on the host a link leads
//! elsewhere than in the sandbox.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Component, Path};

use super::shims::{SHIM_FILES, SHIMS_DIRECTORY};
use super::system_files::OWN_SYSTEM;
use super::users::{INNER_USER, SandboxUser};
use crate::files::{self, Owner};

/// The treatment of a file or link at the path of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Obstacle {
    /// The file or link is kept, because it comes from the template.
    Keep,
    /// The file or link is replaced, because the platform or an isolation needs the directory.
    Replace,
}

/// Creates the directories and files that every sandbox has, owned by `owner`.
pub(crate) fn prepare_root(root: &Path, owner: Owner) -> io::Result<()> {
    for directory in ["app", "home/user", "root", "tmp", "var/tmp", "run"] {
        make_directory(root, Path::new(directory), Obstacle::Keep, owner)?;
    }
    let own = Path::new(OWN_SYSTEM).join("etc");
    make_mount_point(root, &own.join("profile.d"), true, owner)?;
    make_mount_point(root, &own.join("environment"), false, owner)?;
    let user = owner.id().unwrap_or(INNER_USER);
    let passwd = format!(
        "root:x:0:0:root:/root:/bin/sh\nuser:x:{user}:{user}::/home/user:/bin/bash\n\
         nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    );
    let group = format!("root:x:0:\ntty:x:5:\nuser:x:{user}:\nnogroup:x:65534:\n");
    make_file(root, &own.join("passwd"), &passwd, 0o644, owner)?;
    make_file(root, &own.join("group"), &group, 0o644, owner)?;
    for (name, text) in SHIM_FILES {
        make_file(
            root,
            &Path::new(SHIMS_DIRECTORY).join(name),
            text,
            0o755,
            owner,
        )?;
    }
    for directory in ["tmp", "var/tmp"] {
        let target = root.join(directory);
        let parent = target.parent().unwrap_or(root);
        let is_own = |target: &Path| fs::symlink_metadata(target).is_ok_and(|found| found.is_dir());
        if is_own(parent) && is_own(&target) {
            fs::set_permissions(target, fs::Permissions::from_mode(0o1777))?;
        }
    }
    Ok(())
}

/// Creates a mount point, which is a directory or an empty file, at exactly `path`.
pub(crate) fn make_mount_point(
    root: &Path,
    path: &Path,
    is_directory: bool,
    owner: Owner,
) -> io::Result<()> {
    if is_directory {
        return make_directory(root, path, Obstacle::Replace, owner);
    }
    let target = files::join(root, path);
    let is_there = || fs::symlink_metadata(&target).is_ok_and(|found| found.is_file());
    let parent = path.parent().unwrap_or(Path::new(""));
    make_directory(root, parent, Obstacle::Replace, owner)?;
    if is_there() {
        return Ok(());
    }
    make_file(root, path, "", 0o644, owner)
}

fn make_directory(
    root: &Path,
    directory: &Path,
    obstacle: Obstacle,
    owner: Owner,
) -> io::Result<()> {
    let mut target = root.to_owned();
    for part in directory.components() {
        let Component::Normal(name) = part else {
            continue;
        };
        target.push(name);
        match fs::symlink_metadata(&target) {
            Ok(found) if found.is_dir() => continue,
            Ok(_) if obstacle == Obstacle::Keep => return Ok(()),
            Ok(_) => fs::remove_file(&target)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        fs::create_dir(&target)?;
        owner.give_path(&target)?;
    }
    Ok(())
}

/// Writes a file and replaces what is at `path`, without following a link.
fn make_file(root: &Path, path: &Path, text: &str, mode: u32, owner: Owner) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new(""));
    make_directory(root, parent, Obstacle::Replace, owner)?;
    let target = files::join(root, path);
    match fs::symlink_metadata(&target) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(&target)?,
        Ok(_) => fs::remove_file(&target)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    fs::write(&target, text)?;
    fs::set_permissions(&target, fs::Permissions::from_mode(mode))?;
    owner.give_path(&target)
}

/// Creates the directory of a sandbox with its `root`. Only the platform and the sandbox's user can
/// enter it, and a user of the sandbox's own cannot list it.
pub(crate) fn prepare_directory(directory: &Path, user: &SandboxUser) -> io::Result<()> {
    std::fs::DirBuilder::new().mode(0o700).create(directory)?;
    let root = directory.join("root");
    std::fs::create_dir(&root)?;
    user.owner().give_path(&root)?;
    if let Some(group) = user.id() {
        std::os::unix::fs::chown(directory, None, Some(group))?;
        std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o710))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_of_a_template_are_not_followed() {
        let outside = tempfile::tempdir().unwrap();
        let outside = outside.path();
        fs::set_permissions(outside, fs::Permissions::from_mode(0o700)).unwrap();
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        for link in ["home", "tmp", "app", "var", ".ppio"] {
            symlink(outside, root.join(link)).unwrap();
        }
        prepare_root(root, Owner::PLATFORM).unwrap();
        let own = root.join(OWN_SYSTEM);
        fs::remove_dir(own.join("etc/profile.d")).unwrap();
        symlink(outside, own.join("etc/profile.d")).unwrap();
        for file in ["environment", "passwd"] {
            fs::remove_file(own.join("etc").join(file)).unwrap();
            symlink(outside.join("planted"), own.join("etc").join(file)).unwrap();
        }

        for _ in 0..2 {
            prepare_root(root, Owner::PLATFORM).unwrap();
            assert_eq!(fs::read_dir(outside).unwrap().count(), 0);
            let mode = fs::metadata(outside).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o700);
            for target in ["etc", "etc/profile.d", "etc/environment", "etc/passwd"] {
                let found = fs::symlink_metadata(own.join(target)).unwrap();
                assert!(!found.is_symlink(), "{target}");
            }
            assert!(
                root.join("app").is_symlink(),
                "the link of the template is kept"
            );
        }
    }
}
