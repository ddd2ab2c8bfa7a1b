//! `cargo xtask crates`: counts the crates that an agent's author compiles.

use std::collections::BTreeSet;

use crate::error::Error;
use crate::step::Step;

/// A build whose crates are counted, procedural macros and build dependencies included.
struct Build {
    package: &'static str,
    features: &'static [&'static str],
    /// The largest number of other crates that the build may include.
    limit: usize,
}

const BUILDS: [Build; 2] = [
    Build {
        package: "hello",
        features: &[],
        limit: 90,
    },
    // Together with `ppio-agent` itself, an agent without features pulls in 45 crates.
    Build {
        package: "ppio-agent",
        features: &["--no-default-features"],
        limit: 44,
    },
];

pub(crate) fn run() -> Result<(), Error> {
    let host = host_triple()?;
    for build in BUILDS {
        check(&build, &host)?;
    }
    Ok(())
}

fn check(build: &Build, host: &str) -> Result<(), Error> {
    let Build {
        package,
        features,
        limit,
    } = build;
    let tree = Step::cargo("crate count")
        .args(["tree", "--package", package, "--edges", "normal,build"])
        .args(["--target", host, "--prefix", "none", "--format", "{p}"])
        .args(features.iter().copied())
        .output()?;
    let crates = dependencies(&tree);
    println!(
        "\n==> crate count: `{package}` {} pulls in {} crates, the limit is {limit}",
        features.join(" "),
        crates.len()
    );
    if crates.len() > *limit {
        let list = crates.into_iter().collect::<Vec<_>>().join("\n  ");
        return Err(format!(
            "`{package}` pulls in more than {limit} crates:\n  {list}\n\
             `cargo tree --package {package} --invert <crate>` shows what needs <crate>"
        ));
    }
    Ok(())
}

/// Returns the distinct `name version` pairs of a `cargo tree` output, without the agent itself.
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
