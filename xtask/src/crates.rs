//! `cargo xtask crates`: how many crates an agent's author compiles.

use std::collections::BTreeSet;

use crate::Failure;
use crate::step::Step;

/// A clean build of the smallest agent may pull in this many crates, procedural macros and
/// build scripts included.
const LIMIT: usize = 90;

/// The smallest agent.
const AGENT: &str = "hello";

pub(crate) fn run() -> Result<(), Failure> {
    let host = host_triple()?;
    let tree = Step::cargo("crate count")
        .args(["tree", "--package", AGENT, "--edges", "normal,build"])
        .args(["--target", &host, "--prefix", "none", "--format", "{p}"])
        .output()?;
    let crates = dependencies(&tree);
    println!(
        "\n==> crate count: `{AGENT}` pulls in {} crates, the limit is {LIMIT}",
        crates.len()
    );
    if crates.len() > LIMIT {
        let list = crates.into_iter().collect::<Vec<_>>().join("\n  ");
        return Err(format!(
            "`{AGENT}` pulls in more than {LIMIT} crates:\n  {list}\n\
             find out who brings one with `cargo tree --package {AGENT} --invert <crate>`"
        ));
    }
    Ok(())
}

/// The distinct `name version` pairs of a `cargo tree` listing, without its first line, the agent itself.
fn dependencies(tree: &str) -> BTreeSet<String> {
    let package = |line: &str| {
        let mut words = line.split_whitespace();
        Some(format!("{} {}", words.next()?, words.next()?))
    };
    let mut lines = tree.lines();
    let agent = lines.next().and_then(package);
    lines
        .filter_map(package)
        .filter(|crate_| Some(crate_) != agent.as_ref())
        .collect()
}

fn host_triple() -> Result<String, Failure> {
    let version = Step::new("host triple", "rustc").args(["-vV"]).output()?;
    version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .ok_or_else(|| "`rustc -vV` names no host".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_crates_count_once_and_the_agent_not_at_all() {
        let tree = "hello v0.1.0 (/somewhere/hello)\n\
                    serde v1.0.1\n\
                    serde_derive v1.0.1 (proc-macro)\n\
                    serde_derive v1.0.1 (proc-macro) (*)\n\
                    serde v1.0.1 (*)\n\
                    \n\
                    serde v2.0.0\n";
        assert_eq!(
            dependencies(tree).into_iter().collect::<Vec<_>>(),
            ["serde v1.0.1", "serde v2.0.0", "serde_derive v1.0.1"]
        );
    }
}
