//! The cargo workspace above a new project.

use std::fs;
use std::path::{Path, PathBuf};

use globset::GlobBuilder;
use toml::{Table, Value};

/// The relation of a new package to the workspaces above it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WorkspaceMembership {
    /// There is no workspace above, or the nearest one excludes the folder.
    None,
    /// The workspace in this folder lists the package, by its path or by a glob.
    Member(PathBuf),
    /// The workspace above does not list the package, so the package needs a `[workspace]` of its
    /// own.
    Unlisted,
}

impl WorkspaceMembership {
    /// Looks for the nearest workspace above `folder`. `folder` need not exist.
    pub(super) fn find(folder: &Path) -> Self {
        let folder = canonical(folder);
        for above in folder.ancestors().skip(1) {
            let Ok(text) = fs::read_to_string(above.join("Cargo.toml")) else {
                continue;
            };
            let workspace = text.parse::<Table>();
            let Ok(Some(Value::Table(workspace))) =
                workspace.map(|mut manifest| manifest.remove("workspace"))
            else {
                continue;
            };
            let Ok(path) = folder.strip_prefix(above) else {
                continue;
            };
            let listed = paths(&workspace, "members");
            // As in cargo, a member that is listed by its whole path is not excluded.
            if listed.iter().any(|member| Path::new(member) == path) {
                return Self::Member(above.to_owned());
            }
            if paths(&workspace, "exclude")
                .iter()
                .any(|excluded| path.starts_with(excluded))
            {
                return Self::None;
            }
            if listed.iter().any(|pattern| covers(pattern, path)) {
                return Self::Member(above.to_owned());
            }
            return Self::Unlisted;
        }
        Self::None
    }
}

/// Returns the paths or patterns of a list, without a leading `./` and a slash at the end.
fn paths(workspace: &Table, list: &str) -> Vec<String> {
    let list = workspace.get(list).and_then(Value::as_array);
    let paths = list.into_iter().flatten().filter_map(Value::as_str);
    paths
        .map(|path| {
            let path = path.trim_start_matches("./").trim_end_matches('/');
            path.to_owned()
        })
        .collect()
}

fn covers(pattern: &str, path: &Path) -> bool {
    let glob = GlobBuilder::new(pattern).literal_separator(true).build();
    glob.is_ok_and(|glob| glob.compile_matcher().is_match(path))
}

/// Returns the folder without links; the part of it that does not exist is kept.
pub(super) fn canonical(folder: &Path) -> PathBuf {
    let found = folder.ancestors().find_map(|above| {
        let rest = folder.strip_prefix(above).ok()?;
        Some(above.canonicalize().ok()?.join(rest))
    });
    found.unwrap_or_else(|| folder.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_and_lists_decide_as_in_cargo() {
        use WorkspaceMembership::{Member, None, Unlisted};
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let member = || Member(root.clone());
        for (manifest, path, expected) in [
            ("[workspace]\nmembers = ['agents/*']", "agents/a", member()),
            (
                "[workspace]\nmembers = ['./agents/*/']",
                "agents/a",
                member(),
            ),
            (
                "[workspace]\nmembers = ['agents/*']",
                "agents/deep/a",
                Unlisted,
            ),
            (
                "[workspace]\nmembers = ['agents/**']",
                "agents/deep/a",
                member(),
            ),
            ("[workspace]\nmembers = ['agents/a']", "agents/a", member()),
            ("[workspace]\nmembers = ['*']", "a", member()),
            ("[workspace]\nmembers = ['a-*']", "b-a", Unlisted),
            ("[workspace]", "a", Unlisted),
            (
                "[package]\nname = 'x'\n[workspace.package]\nversion = '1.0.0'",
                "a",
                Unlisted,
            ),
            ("workspace = { members = ['a'] }", "a", member()),
            ("[workspace]\nmembers = ['*']\nexclude = ['a']", "a", None),
            (
                "[workspace]\nmembers = ['*/*']\nexclude = ['a']",
                "a/b",
                None,
            ),
            (
                "[workspace]\nmembers = ['a/b']\nexclude = ['a']",
                "a/b",
                member(),
            ),
            ("[package]\nname = 'x'", "a", None),
            ("# [workspace]\n[package]\nname = 'x'", "a", None),
            ("not toml", "a", None),
        ] {
            fs::write(root.join("Cargo.toml"), manifest).unwrap();
            let found = WorkspaceMembership::find(&folder.path().join(path));
            assert_eq!(found, expected, "{manifest} {path}");
        }
    }

    #[test]
    fn the_nearest_workspace_decides() {
        let folder = tempfile::tempdir().unwrap();
        let near = folder.path().join("near");
        fs::create_dir(&near).unwrap();
        fs::write(
            folder.path().join("Cargo.toml"),
            "[workspace]\nmembers = ['near/*']",
        )
        .unwrap();
        fs::write(near.join("Cargo.toml"), "[workspace]").unwrap();
        let found = WorkspaceMembership::find(&near.join("a"));
        assert_eq!(found, WorkspaceMembership::Unlisted);
    }
}
