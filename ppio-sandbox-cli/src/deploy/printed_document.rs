//! Runs the program to deploy in a sandbox, where it prints its API document.

use std::fmt::Write as _;
use std::future::Future;
use std::time::Duration;

use ppio_agent_client::platform::{Command, Output};
use ppio_agent_client::{Error, SandboxSession};
use serde_json::Value;
use tokio::time::timeout;

use super::bundle::ARCHIVE_ROOT;
use super::deployment::Deployment;
use crate::shell;

/// The longest time for sending the files, running the program and reading its document.
const PRINT_TIMEOUT: Duration = Duration::from_secs(30);
/// The path of the deployment's files, below the home of the sandbox's user.
const ARCHIVE: &str = "ppio-next.tar.gz";
/// The path of a shell script that sets the deployment's variables. They may be secrets, so they
/// are not in the arguments or the environment of a call, which daemons log and other processes
/// read.
const VARIABLES: &str = "ppio-next.env";
/// The script that unpacks the files, and runs the script `$2` with the name of the program, `$1`,
/// as its argument. Of the variables of the deployed template, only `PATH`, `HOME` and
/// `PPIO_AGENT_PORT` are passed on.
const UNPACK: &str = r#"cd "$HOME" && mkdir -p ppio-next && tar -xzf ppio-next.tar.gz -C ppio-next && cd "ppio-next/$ROOT" ||
{ rm -f "$HOME/ppio-next.env"; exit 1; }
exec env -i PATH="$PATH" HOME="$HOME" PPIO_AGENT_PORT="${PPIO_AGENT_PORT:-8080}" /bin/sh -c "$2" sh "$1""#;
/// The script that reads and removes the file of the variables, sets the variables, and runs the
/// program.
const PRINT: &str = r#"variables=$(cat "$HOME/ppio-next.env" && rm -f "$HOME/ppio-next.env") || exit
eval "$variables"
exec "./$1" --openapi"#;

/// Runs the program in the sandbox of a session, and returns its document, or the reason why there
/// is none.
pub(super) async fn printed_document(
    deployment: &Deployment,
    program: &str,
    session: &SandboxSession,
) -> Result<Value, String> {
    let command = print_command(program);
    let printing = async {
        let envd = session.envd();
        let archive = deployment.archive.bytes.clone();
        envd.write_file(ARCHIVE, archive).await?;
        envd.write_file(VARIABLES, exports(deployment.environment()))
            .await?;
        envd.start(&command).await?.output().await
    };
    let output = in_time(printing).await?;
    let printed = serde_json::from_slice(&output.stdout);
    match printed {
        Ok(document) if output.status.exit_code == 0 => Ok(document),
        _ => {
            let text = output.stderr_text();
            let last = text.lines().rfind(|line| !line.trim().is_empty());
            let reason = last.map_or("it printed no JSON", str::trim);
            let reason = reason.strip_prefix("error: ").unwrap_or(reason);
            Err(format!(
                "`{program} --openapi` failed in a sandbox: {reason}"
            ))
        }
    }
}

fn print_command(program: &str) -> Command {
    Command {
        args: ["-c", UNPACK, "sh", program, PRINT]
            .map(str::to_owned)
            .into(),
        envs: [("ROOT".to_owned(), ARCHIVE_ROOT.to_owned())].into(),
        ..Command::new("/bin/sh")
    }
}

/// Returns a shell script that sets the variables. The names have to be valid variable names of a
/// shell.
fn exports<'a>(variables: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut script = String::new();
    for (name, value) in variables {
        let _ = writeln!(script, "export {name}={}", shell::quoted(value));
    }
    script
}

async fn in_time(printing: impl Future<Output = Result<Output, Error>>) -> Result<Output, String> {
    match timeout(PRINT_TIMEOUT, printing).await {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(error)) => Err(format!(
            "cannot run the new program in a sandbox: {}",
            error.report()
        )),
        Err(_) => Err(format!(
            "the new program did not print its document within {} s",
            PRINT_TIMEOUT.as_secs()
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::process;

    use super::*;

    const VALUES: [(&str, &str); 6] = [
        ("QUOTES", r#"a 'single' and "double" ''\''"#),
        ("LINES", "a\nb\r\n\n"),
        ("SHELL", "$HOME `id` $(id) \\ \\n ; & | > x # ~ * !"),
        ("PAIR", "=a=b= "),
        ("UNICODE", "É\u{81}日\u{7f}\t"),
        ("variables", ""),
    ];

    /// Runs the command in a home with a program that prints its environment.
    #[test]
    fn variables_arrive_exactly_and_their_file_is_gone() {
        let home = tempfile::tempdir().unwrap();
        let program = home.path().join(ARCHIVE_ROOT).join("agent");
        fs::create_dir_all(program.parent().unwrap()).unwrap();
        let script =
            "#!/bin/sh\ntest -e \"$HOME/ppio-next.env\" && exit 1\nexec cat /proc/self/environ\n";
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let packed = process::Command::new("tar")
            .current_dir(home.path())
            .args(["-czf", ARCHIVE, ARCHIVE_ROOT])
            .status();
        assert!(packed.unwrap().success());
        fs::write(home.path().join(VARIABLES), exports(VALUES.into_iter())).unwrap();

        let command = print_command("agent");
        let run = || {
            process::Command::new(&command.cmd)
                .args(&command.args)
                .env("HOME", home.path())
                .env("OF_THE_TEMPLATE", "1")
                .envs(&command.envs)
                .output()
                .unwrap()
        };
        let output = run();
        assert!(output.status.success(), "{output:?}");
        let printed = String::from_utf8(output.stdout).unwrap();
        let printed: Vec<_> = printed.split('\0').collect();
        for (name, value) in VALUES {
            let variable = format!("{name}={value}");
            assert!(printed.contains(&&*variable), "{variable:?} in {printed:?}");
        }
        assert!(!printed.contains(&"OF_THE_TEMPLATE=1"), "{printed:?}");
        // Without the variables' file, the program would run without the deployment's variables.
        assert!(!run().status.success());

        fs::remove_file(home.path().join(ARCHIVE)).unwrap();
        fs::write(home.path().join(VARIABLES), "").unwrap();
        assert!(!run().status.success());
        assert!(!home.path().join(VARIABLES).exists());
    }
}
