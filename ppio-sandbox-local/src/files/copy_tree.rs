//! Copies directories with modes and links, and shares blocks if the file system supports it.
//!
//! A copy gets the owner of the directory that it is created in.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use super::ownership::Owner;

/// The bits of a mode that the copy of a file keeps: without setuid, setgid and the sticky bit.
const KEPT_MODE: u32 = 0o777;

/// Copies the contents of `source` into `target`, over existing files. Blocks.
pub(crate) fn copy_tree(source: &Path, target: &Path) -> io::Result<()> {
    fs::create_dir_all(target)?;
    for entry in fs::read_dir(source)? {
        let entry = entry?;
        copy_entry(&entry.path(), &target.join(entry.file_name()))?;
    }
    Ok(())
}

/// Copies one file, link or directory to exactly `target`. Blocks.
pub(crate) fn copy_entry(source: &Path, target: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(source)?;
    let kind = metadata.file_type();
    if kind.is_dir() {
        let old = fs::symlink_metadata(target);
        if old.as_ref().is_ok_and(Metadata::is_symlink) {
            // The link leads elsewhere on this machine than in a sandbox.
            fs::remove_file(target)?;
        }
        if old.is_ok_and(|old| old.is_dir()) {
            return copy_tree(source, target);
        }
        fs::create_dir_all(target)?;
        owner_of_parent(target)?.give_path(target)?;
        copy_tree(source, target)?;
        // The mode is set last, since it may forbid creating files in the directory.
        return fs::set_permissions(target, metadata.permissions());
    }
    match fs::symlink_metadata(target) {
        // Writing through an old link would change what it points to.
        Ok(old) if !old.is_dir() => fs::remove_file(target)?,
        _ => {}
    }
    if kind.is_symlink() {
        std::os::unix::fs::symlink(fs::read_link(source)?, target)?;
        return owner_of_parent(target)?.give_path(target);
    }
    if !kind.is_file() {
        // Sockets, pipes and devices are left out.
        return Ok(());
    }
    copy_file(source, target, metadata.permissions().mode() & KEPT_MODE)
}

fn owner_of_parent(target: &Path) -> io::Result<Owner> {
    Owner::of_path(target.parent().unwrap_or(Path::new("/")))
}

fn copy_file(source: &Path, target: &Path, mode: u32) -> io::Result<()> {
    let mut from = File::open(source)?;
    let mut to = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(target)?;
    owner_of_parent(target)?.give(&to)?;
    #[cfg(target_os = "linux")]
    if rustix::fs::ioctl_ficlone(&to, &from).is_ok() {
        return fs::set_permissions(target, fs::Permissions::from_mode(mode));
    }
    io::copy(&mut from, &mut to)?;
    // The umask applies to the mode at creation.
    fs::set_permissions(target, fs::Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_keep_modes_and_links() {
        let directory = tempfile::tempdir().unwrap();
        let (source, target) = (directory.path().join("a"), directory.path().join("b"));
        fs::create_dir_all(source.join("bin")).unwrap();
        fs::write(source.join("bin/tool"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(source.join("bin/tool"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(source.join("bin"), fs::Permissions::from_mode(0o555)).unwrap();
        std::os::unix::fs::symlink("bin/tool", source.join("link")).unwrap();
        copy_tree(&source, &target).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&target.join("bin")), 0o555);
        for copy in [&source, &target] {
            fs::set_permissions(copy.join("bin"), fs::Permissions::from_mode(0o755)).unwrap();
        }
        copy_tree(&source, &target).unwrap();
        assert_eq!(
            fs::metadata(target.join("bin/tool"))
                .unwrap()
                .permissions()
                .mode()
                & 0o777,
            0o755
        );
        assert_eq!(
            fs::read_link(target.join("link")).unwrap(),
            Path::new("bin/tool")
        );
    }

    #[test]
    fn links_in_the_way_are_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir_all(at("a/sub")).unwrap();
        fs::write(at("a/sub/file"), "new").unwrap();
        for place in ["b", "outside"] {
            fs::create_dir(at(place)).unwrap();
        }
        std::os::unix::fs::symlink(at("outside"), at("b/sub")).unwrap();
        copy_tree(&at("a"), &at("b")).unwrap();
        assert_eq!(fs::read(at("b/sub/file")).unwrap(), b"new");
        assert_eq!(fs::read_dir(at("outside")).unwrap().count(), 0);
    }
}
