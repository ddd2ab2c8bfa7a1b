use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::EntryType;

use super::*;

fn archive(fill: impl FnOnce(&mut tar::Builder<GzEncoder<File>>)) -> tempfile::NamedTempFile {
    let archive = tempfile::NamedTempFile::new().unwrap();
    let encoder = GzEncoder::new(archive.reopen().unwrap(), Compression::fast());
    let mut builder = tar::Builder::new(encoder);
    fill(&mut builder);
    builder.into_inner().unwrap().finish().unwrap();
    archive
}

fn entry(
    builder: &mut tar::Builder<GzEncoder<File>>,
    path: &str,
    kind: EntryType,
    link: &str,
    data: &[u8],
) {
    let mut header = tar::Header::new_gnu();
    // Written directly, because the library refuses to write invalid paths.
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o755);
    header.set_size(data.len() as u64);
    header.set_cksum();
    builder.append(&header, data).unwrap();
}

#[test]
fn an_archive_is_unpacked() {
    let file = archive(|builder| {
        entry(builder, "./src/", EntryType::Directory, "", b"");
        entry(builder, "./src/main.py", EntryType::Regular, "", b"print()");
        entry(builder, "link", EntryType::Symlink, "src/main.py", b"");
    });
    inspect(file.path()).unwrap();
    let target = tempfile::tempdir().unwrap();
    unpack(file.path(), target.path()).unwrap();
    assert_eq!(fs::read(target.path().join("link")).unwrap(), b"print()");
}

#[test]
fn archives_that_escape_the_target_are_refused() {
    for (path, kind, link) in [
        ("../evil", EntryType::Regular, ""),
        ("/etc/evil", EntryType::Regular, ""),
        ("a/../../evil", EntryType::Regular, ""),
        (".", EntryType::Regular, ""),
        ("hard", EntryType::Link, "/etc/passwd"),
        ("hard", EntryType::Link, "../../etc/passwd"),
    ] {
        let file = archive(|builder| entry(builder, path, kind, link, b""));
        assert!(
            matches!(inspect(file.path()), Err(ArchiveError::Escape(_))),
            "{path} {link}"
        );
        let target = tempfile::tempdir().unwrap();
        assert!(unpack(file.path(), target.path()).is_err(), "{path} {link}");
    }
}

#[test]
fn links_are_kept_wherever_they_lead() {
    for target in ["/etc/passwd", "../../etc", "b/../../../etc", "missing"] {
        let file = archive(|builder| entry(builder, "a/link", EntryType::Symlink, target, b""));
        inspect(file.path()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        unpack(file.path(), directory.path()).unwrap();
        let link = fs::read_link(directory.path().join("a/link")).unwrap();
        assert_eq!(link, Path::new(target));
    }
}

#[test]
fn an_error_names_the_entry() {
    for (path, kind, link) in [
        ("a/../../evil", EntryType::Regular, ""),
        ("hard", EntryType::Link, "/etc/passwd"),
        ("hard", EntryType::Link, "not/in/the/archive"),
        ("pipe", EntryType::Fifo, ""),
    ] {
        let file = archive(|builder| entry(builder, path, kind, link, b""));
        let error = inspect(file.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("{path:?}")), "{error}");
    }
}

/// Unpacks `file`. Returns the outcome and the names of the other entries next to the target
/// directory.
fn unpack_beside_others(file: &Path) -> (Result<(), ArchiveError>, Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("target");
    fs::create_dir(&target).unwrap();
    fs::write(directory.path().join("secret"), "secret").unwrap();
    let outcome = unpack(file, &target);
    assert_eq!(
        fs::read(directory.path().join("secret")).unwrap(),
        b"secret"
    );
    let names = fs::read_dir(directory.path()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    (outcome, names.filter(|name| name != "target").collect())
}

#[test]
fn an_entry_cannot_lie_below_a_link_or_a_file() {
    type Entries = &'static [(&'static str, EntryType, &'static str)];
    let tables: &[Entries] = &[
        // A link, and a file that is written through it.
        &[
            ("d", EntryType::Symlink, "."),
            ("d/x", EntryType::Regular, ""),
        ],
        &[
            ("a/b/d", EntryType::Symlink, "../.."),
            ("a/b/d/x", EntryType::Regular, ""),
        ],
        &[
            ("a/d", EntryType::Symlink, "../a"),
            ("a/d/e", EntryType::Symlink, "../.."),
            ("a/d/e/secret", EntryType::Regular, ""),
        ],
        &[
            ("d", EntryType::Symlink, "."),
            ("d/x/", EntryType::Directory, ""),
        ],
        &[
            ("d", EntryType::Symlink, "."),
            ("d/", EntryType::Directory, ""),
        ],
        // A directory that becomes a link.
        &[
            ("d/x", EntryType::Regular, ""),
            ("d", EntryType::Symlink, "."),
        ],
        &[
            ("d", EntryType::Regular, ""),
            ("d/x", EntryType::Regular, ""),
        ],
        // Hard links to an entry that is not a file, missing from the archive, or later in it.
        &[("l", EntryType::Symlink, "x"), ("h", EntryType::Link, "l")],
        &[
            ("d/", EntryType::Directory, ""),
            ("h", EntryType::Link, "d"),
        ],
        &[("h", EntryType::Link, "x"), ("x", EntryType::Regular, "")],
        &[("x", EntryType::Regular, ""), ("x", EntryType::Link, "x")],
        &[
            ("a/x", EntryType::Regular, ""),
            ("d", EntryType::Symlink, "a"),
            ("h", EntryType::Link, "d/x"),
        ],
    ];
    for entries in tables {
        let file = archive(|builder| {
            for (path, kind, link) in *entries {
                entry(builder, path, *kind, link, b"");
            }
        });
        let inspected = inspect(file.path());
        let (unpacked, beside) = unpack_beside_others(file.path());
        for outcome in [inspected, unpacked] {
            let error = outcome.expect_err(&format!("{entries:?}"));
            let named = entries
                .iter()
                .any(|(path, ..)| error.to_string().contains(path.trim_end_matches('/')));
            assert!(named && error.is_of_archive(), "{entries:?}: {error}");
        }
        assert_eq!(beside, ["secret"], "{entries:?}");
    }
    for kind in [EntryType::Char, EntryType::Block, EntryType::Fifo] {
        let file = archive(|builder| entry(builder, "device", kind, "", b""));
        let error = inspect(file.path()).unwrap_err();
        assert!(
            matches!(&error, ArchiveError::Kind(name) if name == "device"),
            "{error}"
        );
    }
}

#[test]
fn links_and_modes_are_kept_within_bounds() {
    let file = archive(|builder| {
        entry(
            builder,
            "node/bin/tool",
            EntryType::Symlink,
            "../tool.js",
            b"",
        );
        entry(builder, "node/tool.js", EntryType::Regular, "", b"old");
        entry(builder, "node/tool.js", EntryType::Regular, "", b"tool");
        entry(builder, "hard", EntryType::Link, "./node/tool.js", b"");
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o6755);
        header.set_size(0);
        builder
            .append_data(&mut header, "setuid", &b""[..])
            .unwrap();
    });
    inspect(file.path()).unwrap();
    let target = tempfile::tempdir().unwrap();
    unpack(file.path(), target.path()).unwrap();
    for name in ["node/bin/tool", "hard"] {
        assert_eq!(
            fs::read(target.path().join(name)).unwrap(),
            b"tool",
            "{name}"
        );
    }
    let mode = fs::metadata(target.path().join("setuid"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o755);
}

#[test]
fn hard_links_and_headers_count_towards_the_limits() {
    // Hard links: in a copy each is a file of its own.
    let file = archive(|builder| {
        entry(builder, "x", EntryType::Regular, "", &vec![0; 1024 * 1024]);
        for number in 0..80 {
            entry(builder, &format!("h{number}"), EntryType::Link, "x", b"");
        }
    });
    assert!(matches!(
        inspect(file.path()),
        Err(ArchiveError::TooLarge(_))
    ));
    // The name of an entry, which is read into memory.
    let name = vec![b'x'; 2 * 1024 * 1024];
    let file = archive(|builder| {
        entry(builder, "long", EntryType::GNULongName, "", &name);
        entry(builder, "x", EntryType::Regular, "", b"");
    });
    assert!(matches!(inspect(file.path()), Err(ArchiveError::Header)));
    for path in ["x".repeat(300), "x/".repeat(300), "x/".repeat(2500)] {
        let file = archive(|builder| {
            entry(builder, "long", EntryType::GNULongName, "", path.as_bytes());
            entry(builder, "x", EntryType::Regular, "", b"");
        });
        assert!(matches!(inspect(file.path()), Err(ArchiveError::Path(_))));
    }
}

#[test]
fn archives_with_a_high_ratio_are_refused() {
    let zeros = vec![0; 1024 * 1024];
    let file = archive(|builder| {
        for _ in 0..80 {
            entry(builder, "zeros", EntryType::Regular, "", &zeros);
        }
    });
    assert!(matches!(
        inspect(file.path()),
        Err(ArchiveError::TooLarge(_))
    ));
}

#[test]
fn other_files_are_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "not an archive").unwrap();
    assert!(matches!(
        inspect(file.path()),
        Err(ArchiveError::Malformed(_))
    ));
}
