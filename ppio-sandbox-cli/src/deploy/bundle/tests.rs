use std::fs;
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

/// Returns a bundle of the whole project.
fn everything(project: &tempfile::TempDir, include: &[&str]) -> Result<Bundle, CliError> {
    let include: Vec<_> = include.iter().map(|&pattern| pattern.into()).collect();
    let mut bundle = Bundle::new(project.path(), &include)?;
    bundle.add_project()?;
    bundle.check_included(&include)?;
    Ok(bundle)
}

/// Returns a bundle of one entry of `spec.files`.
fn listed(project: &tempfile::TempDir, path: &str) -> Result<Bundle, CliError> {
    let mut bundle = Bundle::new(project.path(), &[])?;
    bundle.add_listed(path)?;
    Ok(bundle)
}

fn left_out(bundle: &Bundle) -> Vec<(&str, LeftOutReason)> {
    let left_out = bundle.left_out.iter();
    left_out
        .map(|(path, reason)| (path.to_str().unwrap(), *reason))
        .collect()
}

#[test]
fn ignored_files_are_not_sent() {
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
            (".env", LeftOutReason::Secret),
            ("environment", LeftOutReason::VirtualEnvironment)
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
fn secrets_are_sent_only_with_include() {
    let project = project(&[
        ("agent.py", "print()"),
        (".env.local", "KEY=1"),
        (".env.example", "KEY="),
        (".aws/config", "x"),
        (".aws/credentials", "x"),
        ("certs/ca.pem", "x"),
        ("certs/server.KEY", "x"),
        (".git/key.pem", "x"),
        // Keeps the agent, and a folder that holds a secret.
        (".dockerignore", "*\n!agent.py\n!certs\n!.env*\n"),
    ]);
    symlink("../.aws/credentials", project.path().join("certs/harmless")).unwrap();
    let bundle = everything(&project, &[]).unwrap();
    assert_eq!(paths(&bundle), [".env.example", "agent.py"]);
    assert_eq!(
        left_out(&bundle),
        [
            (".aws", LeftOutReason::Secret),
            (".env.local", LeftOutReason::Secret),
            ("certs/ca.pem", LeftOutReason::Secret),
            ("certs/harmless", LeftOutReason::Secret),
            ("certs/server.KEY", LeftOutReason::Secret),
        ]
    );

    let included = ["**/*.pem", ".aws/config"];
    let bundle = everything(&project, &included).unwrap();
    assert_eq!(
        paths(&bundle),
        [".aws/config", ".env.example", "agent.py", "certs/ca.pem"]
    );
    for (pattern, what) in [("*.pem", "matches no file"), ("!a", "is not a pattern")] {
        let failure = everything(&project, &[pattern]).unwrap_err();
        assert_eq!(failure.kind, ExitKind::Usage);
        assert!(failure.message.contains(what), "{failure:?}");
    }
}

#[test]
fn a_listed_secret_is_an_error_and_one_in_a_listed_folder_is_left_out() {
    let project = project(&[("data/a", "a"), ("data/.env", "x"), ("id_rsa", "x")]);
    let bundle = listed(&project, "data").unwrap();
    assert_eq!(paths(&bundle), ["data/a"]);
    assert_eq!(left_out(&bundle), [("data/.env", LeftOutReason::Secret)]);
    for path in ["id_rsa", "data/.env", "./data/.env"] {
        let failure = listed(&project, path).unwrap_err();
        assert!(failure.message.contains("has the name of a secret"));
        assert!(failure.help.unwrap().contains("--include"));
    }
    let mut bundle = Bundle::new(project.path(), &["id_rsa".into()]).unwrap();
    bundle.add_listed("id_rsa").unwrap();
    assert_eq!(paths(&bundle), ["id_rsa"]);
}

#[test]
fn a_listed_link_to_a_secret_is_an_error() {
    let project = project(&[(".env", "x"), (".ssh/config", "x"), (".ssh/keys/a", "x")]);
    symlink(".env", project.path().join("notes.txt")).unwrap();
    symlink(".ssh", project.path().join("conf")).unwrap();
    for path in ["notes.txt", "conf/config", "conf/keys"] {
        let failure = listed(&project, path).unwrap_err();
        assert!(
            failure.message.contains("is a link to the secret ."),
            "{failure:?}"
        );
        assert!(failure.help.unwrap().contains("--include"));
    }
    let mut bundle = Bundle::new(project.path(), &["notes.txt".into()]).unwrap();
    bundle.add_listed("notes.txt").unwrap();
    assert_eq!(paths(&bundle), ["notes.txt"]);
}

#[test]
fn links_to_files_become_files_and_links_to_folders_are_refused() {
    let project = project(&[("real.txt", "real"), ("folder/a", "a")]);
    symlink("real.txt", project.path().join("link.txt")).unwrap();
    symlink("nowhere", project.path().join("broken")).unwrap();
    let bundle = everything(&project, &[]).unwrap();
    assert_eq!(paths(&bundle), ["folder/a", "link.txt", "real.txt"]);
    assert_eq!(left_out(&bundle), [("broken", LeftOutReason::BrokenLink)]);
    symlink("folder", project.path().join("again")).unwrap();
    let failure = everything(&project, &[]).unwrap_err();
    assert!(failure.message.contains("again is a link"), "{failure:?}");
    // A folder of a listed path may be a link.
    let bundle = listed(&project, "again/a").unwrap();
    assert_eq!(paths(&bundle), ["again/a"]);
}

#[test]
fn links_that_point_outside_the_project_are_refused_with_their_target() {
    let outside = project(&[("secret", "x"), ("folder/a", "x")]);
    let project = project(&[("agent.py", "a")]);
    let link = project.path().join("link");
    for target in ["secret", "folder"] {
        let target = outside.path().join(target);
        symlink(&target, &link).unwrap();
        let refused = [everything(&project, &[]), listed(&project, "link")];
        for failure in refused.map(Result::unwrap_err) {
            assert_eq!(failure.kind, ExitKind::Usage);
            let what = format!(
                "the link link points outside the project, to {}",
                target.display()
            );
            assert_eq!(failure.message, what);
        }
        fs::remove_file(&link).unwrap();
    }
    // The first folder of the listed path is a link to another link.
    symlink("b", &link).unwrap();
    symlink(outside.path(), project.path().join("b")).unwrap();
    let failure = listed(&project, "link/secret").unwrap_err();
    assert!(
        failure.message.ends_with("the project, to b"),
        "{failure:?}"
    );
    let target = outside.path().canonicalize().unwrap().join("secret");
    assert_eq!(
        failure.causes,
        [format!("the path resolves to {}", target.display())]
    );
    // Ignored links are not refused.
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
        assert_eq!(failure.kind, ExitKind::Usage, "{failure:?}");
    }
}

#[test]
fn the_same_files_make_the_same_archive() {
    let archive = || {
        let project = project(&[("run", "#!/bin/sh"), ("a/b.txt", "b")]);
        let run = project.path().join("run");
        fs::set_permissions(run, fs::Permissions::from_mode(0o700)).unwrap();
        let mut bundle = everything(&project, &[]).unwrap();
        bundle.add_text("agent.yaml", "a: 1\n".into());
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
