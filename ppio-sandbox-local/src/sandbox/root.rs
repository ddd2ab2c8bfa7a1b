//! The directory that becomes `/` of a sandbox, before anything runs in it.
//!
//! What a template left there may hold links to anywhere. None of them is followed: on this machine
//! they would lead to other places than in the sandbox.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path};

use crate::isolation::{OWN_SYSTEM, SystemPlace, WRITABLE_SYSTEM};

/// What to do with something else that stands where a directory is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Obstacle {
    /// The template wants it so.
    Keep,
    /// Isolations mount what is there.
    Replace,
}

/// Makes the directories that every sandbox has.
pub(crate) fn prepare_root(root: &Path) -> io::Result<()> {
    for directory in ["app", "home/user", "root", "tmp", "var", "run"] {
        make_directory(root, Path::new(directory), Obstacle::Keep)?;
    }
    let own_system = Path::new(OWN_SYSTEM);
    for (place, kind) in WRITABLE_SYSTEM {
        let own = own_system.join(place);
        match kind {
            SystemPlace::Directory => make_directory(root, &own, Obstacle::Replace)?,
            SystemPlace::File => {
                make_directory(root, own.parent().unwrap_or(own_system), Obstacle::Replace)?;
                make_file(&root.join(own))?;
            }
        }
    }
    let tmp = root.join("tmp");
    if fs::symlink_metadata(&tmp)?.is_dir() {
        fs::set_permissions(tmp, fs::Permissions::from_mode(0o1777))?;
    }
    Ok(())
}

fn make_directory(root: &Path, directory: &Path, obstacle: Obstacle) -> io::Result<()> {
    let mut place = root.to_owned();
    for part in directory.components() {
        let Component::Normal(name) = part else {
            continue;
        };
        place.push(name);
        match fs::symlink_metadata(&place) {
            Ok(found) if found.is_dir() => continue,
            Ok(_) if obstacle == Obstacle::Keep => return Ok(()),
            Ok(_) => fs::remove_file(&place)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        fs::create_dir(&place)?;
    }
    Ok(())
}

fn make_file(place: &Path) -> io::Result<()> {
    match fs::symlink_metadata(place) {
        Ok(found) if found.is_file() => return Ok(()),
        Ok(found) if found.is_dir() => fs::remove_dir_all(place)?,
        Ok(_) => fs::remove_file(place)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    fs::write(place, "")
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
        for link in ["home", "tmp", "app"] {
            symlink(outside, root.join(link)).unwrap();
        }
        let own = root.join(OWN_SYSTEM);
        fs::create_dir_all(own.join("etc")).unwrap();
        symlink(outside, own.join("var")).unwrap();
        symlink(outside, own.join("etc/profile.d")).unwrap();
        symlink(outside.join("planted"), own.join("etc/environment")).unwrap();

        for _ in 0..2 {
            prepare_root(root).unwrap();
            assert_eq!(fs::read_dir(outside).unwrap().count(), 0);
            let mode = fs::metadata(outside).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o700);
            for place in ["var/tmp", "etc/profile.d", "etc/environment"] {
                let found = fs::symlink_metadata(own.join(place)).unwrap();
                assert!(!found.is_symlink(), "{place}");
            }
            assert!(root.join("app").is_symlink(), "the template wants it so");
        }
    }
}
