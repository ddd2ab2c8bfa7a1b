//! Copies files into the directory of a build. Source and target are walked through open
//! directories.
//!
//! A program that a step left running may swap directories and links meanwhile. Links in the target
//! are replaced or refused, and not followed.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;

use super::confined_path::ConfinedPath;
use super::open_directory::OpenDirectory;

/// The maximum number of levels in one tree: each needs two descriptors.
const MAX_LEVELS: u32 = 256;
/// Bits of a mode that are copied, without setuid and setgid.
const PERMISSIONS: u32 = 0o1777;

/// Copies a file or a link to exactly `target`, or the contents of a directory into the directory
/// `target`, over existing files. Blocks.
pub(crate) fn copy(source: &ConfinedPath, target: &mut ConfinedPath) -> io::Result<()> {
    copy_level(source, target, 1)
}

fn copy_level(source: &ConfinedPath, target: &mut ConfinedPath, level: u32) -> io::Result<()> {
    if level > MAX_LEVELS {
        let message = format!(
            "{} is nested more than {MAX_LEVELS} directories deep",
            source.inside.display()
        );
        return Err(io::Error::other(message));
    }
    let metadata = source.metadata()?;
    if metadata.is_dir() {
        return copy_directory(source, target, level);
    }
    match target.metadata() {
        Ok(old) if !old.is_dir() => fs::remove_file(target.host_path()?)?,
        _ => {}
    }
    if metadata.is_symlink() {
        return target.make_link(&fs::read_link(source.host_path()?)?);
    }
    // Sockets, pipes and devices are left out.
    if metadata.is_file() {
        return copy_file(source, target);
    }
    Ok(())
}

fn copy_directory(source: &ConfinedPath, target: &mut ConfinedPath, level: u32) -> io::Result<()> {
    let from = OpenDirectory::open(source)?;
    let old = target.metadata();
    if old.as_ref().is_ok_and(fs::Metadata::is_symlink) {
        fs::remove_file(target.host_path()?)?;
    }
    let is_new = !old.is_ok_and(|old| old.is_dir());
    if is_new {
        target.make_directory()?;
    }
    let to = OpenDirectory::open(target)?;
    for entry in from.entries()? {
        if let Some(name) = entry.inside.file_name() {
            copy_level(&entry, &mut to.child(name), level + 1)?;
        }
    }
    if is_new {
        // Sets the mode last and through the descriptor, because it may make the directory
        // read-only.
        let mode = fs::metadata(from.host_path())?.permissions().mode() & PERMISSIONS;
        fs::set_permissions(to.host_path(), fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

fn copy_file(source: &ConfinedPath, target: &ConfinedPath) -> io::Result<()> {
    let mut from = source.open()?;
    let metadata = from.metadata()?;
    if !metadata.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut to = target.create()?;
    #[cfg(target_os = "linux")]
    let cloned = rustix::fs::ioctl_ficlone(&to, &from).is_ok();
    #[cfg(not(target_os = "linux"))]
    let cloned = false;
    if !cloned {
        io::copy(&mut from, &mut to)?;
    }
    let mode = metadata.permissions().mode() & PERMISSIONS;
    to.set_permissions(fs::Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_copy_keeps_modes_and_follows_no_link() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        for place in ["a/sub", "b", "outside"] {
            fs::create_dir_all(at(place)).unwrap();
        }
        fs::write(at("outside/secret"), "secret").unwrap();
        fs::write(at("a/sub/tool"), "new").unwrap();
        let mode = |mode| fs::Permissions::from_mode(mode);
        fs::set_permissions(at("a/sub/tool"), mode(0o6755)).unwrap();
        symlink(at("outside/secret"), at("a/link")).unwrap();
        symlink(at("outside"), at("b/sub")).unwrap();
        fs::create_dir(at("c")).unwrap();
        fs::create_dir(at("c/sub")).unwrap();
        symlink(at("outside/secret"), at("c/sub/tool")).unwrap();

        let source = ConfinedPath::on_host(&at("a")).unwrap();
        for place in ["b", "c", "new"] {
            let mut target = OpenDirectory::on_host(directory.path())
                .unwrap()
                .child(place.as_ref());
            for _ in 0..2 {
                copy(&source, &mut target).unwrap();
            }
            let tool = at(place).join("sub/tool");
            assert_eq!(fs::read(&tool).unwrap(), b"new", "{place}");
            let found = fs::symlink_metadata(&tool).unwrap();
            assert_eq!(found.permissions().mode() & 0o7777, 0o755, "{place}");
            assert_eq!(
                fs::read_link(at(place).join("link")).unwrap(),
                at("outside/secret")
            );
        }
        assert_eq!(fs::read(at("outside/secret")).unwrap(), b"secret");
        assert_eq!(fs::read_dir(at("outside")).unwrap().count(), 1);
    }
}
