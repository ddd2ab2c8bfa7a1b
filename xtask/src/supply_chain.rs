//! `cargo xtask supply-chain`: checks the licences, versions and sources of all crates with
//! `deny.toml`.

use crate::cargo_tool::CargoTool;
use crate::error::Error;
use crate::step::Step;
use crate::workspace;

const CARGO_DENY: CargoTool = CargoTool {
    name: "cargo-deny",
    version: "0.20.2",
};

/// Runs the checks that need no advisory database, which changes daily and has to be fetched.
pub(crate) fn run() -> Result<(), Error> {
    // The first run fetches crates that are needed only in builds for other systems.
    Step::new(
        "licences, bans and sources of crates",
        CARGO_DENY.program()?,
    )
    .args(["--locked", "check", "licenses", "bans", "sources"])
    .args(["--hide-inclusion-graph"])
    .env("CARGO", workspace::cargo())
    .run()
}
