//! `cargo xtask crates`: counts the crates that an agent's author compiles.

use std::collections::BTreeSet;

use crate::error::Error;
use crate::step::Step;

/// The most crates that a clean build of [`AGENT`] may have, including procedural macros and build
/// scripts.
const MAX_CRATES: usize = 90;

/// The smallest agent.
const AGENT: &str = "hello";

pub(crate) fn run() -> Result<(), Error> {
    let host = host_triple()?;
    let tree = Step::cargo("crate count")
        .args(["tree", "--package", AGENT, "--edges", "normal,build"])
        .args(["--target", &host, "--prefix", "none", "--format", "{p}"])
        .output()?;
    let crates = dependencies(&tree);
    println!(
        "\n==> crate count: `{AGENT}` pulls in {} crates, the limit is {MAX_CRATES}",
        crates.len()
    );
    if crates.len() > MAX_CRATES {
        let list = crates.into_iter().collect::<Vec<_>>().join("\n  ");
        return Err(format!(
            "`{AGENT}` pulls in more than {MAX_CRATES} crates:\n  {list}\n\
             find the reason for one with `cargo tree --package {AGENT} --invert <crate>`"
        ));
    }
    Ok(())
}

/// The distinct `name version` pairs in the output of `cargo tree`, without the agent itself.
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

fn host_triple() -> Result<String, Error> {
    let version = Step::new("host triple", "rustc").args(["-vV"]).output()?;
    version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .ok_or_else(|| "`rustc -vV` printed no host".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_crates_and_the_agent_are_not_counted() {
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
