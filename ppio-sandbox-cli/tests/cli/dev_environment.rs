//! `agent dev`: the variables of `.env`.

use std::fs;

use crate::support::dev::{Dev, PYTHON_AGENT, ask, python_project, rust_project};
use crate::support::scaffold::edit;
use crate::support::{Sandbox, eventually};

#[test]
fn the_agent_has_the_variables_of_the_file_and_restarts_with_new_ones() {
    let sandbox = Sandbox::new();
    let agent = PYTHON_AGENT.replace(
        "\"GREETING\"",
        "os.environ.get('WORD', 'none') + ',' + os.environ['OUTSIDE'] + ',' + \
         os.environ['PPIO_AGENT_DEBUG'] + '.'",
    );
    let folder = python_project(&sandbox, &agent);
    let file = folder.join(".env");
    let text = "# comment\nexport WORD='hello there' # more\nOUTSIDE=file\nPPIO_AGENT_DEBUG=false\n\
                PPIO_AGENT_ALLOWED_HOSTS=agent.example\n";
    fs::write(&file, text).expect("written");
    fs::write(folder.join(".gitignore"), ".env\n").expect("written");
    let command = sandbox.command(["agent", "dev", "--port", "0"]);
    let running = command.env("OUTSIDE", "process").in_folder(&folder).spawn();
    let dev = Dev { running };
    let address = dev.address();
    let answer = |request: &str| ask(&address, request);
    let first = answer("GET /");
    // The environment of the command overrides `.env`, and so do the variables that the command
    // sets.
    assert!(first.ends_with("hello there,process,true."), "{first}");
    let foreign = answer("GET http://agent.example/");
    assert!(foreign.contains(" 200 OK\r\n"), "{foreign}");

    edit(&file, "'hello there'", "changed");
    dev.says(".env changed");
    eventually("the new value is there", || {
        answer("GET /").ends_with("changed,process,true.")
    });

    fs::write(&file, "\nWORD secret\n").expect("written");
    dev.says("error: line 2 of .env has no `=`");
    assert!(!dev.output().contains("secret"), "{}", dev.output());
    assert!(answer("GET /").ends_with("changed,process,true."));

    fs::remove_file(&file).expect("removed");
    eventually("the variable is gone", || {
        answer("GET /").ends_with("none,process,true.")
    });
    dev.running.interrupt();
    dev.running.wait().code(0);
}

/// Runs are inspected unless `PPIO_AGENT_INSPECT_RUNS` is `false` in the environment of the
/// command, or in `.env` if the environment does not set the variable.
#[test]
fn whether_runs_are_inspected_is_a_variable_of_the_file() {
    let agent = PYTHON_AGENT.replace(
        "\"GREETING\"",
        "os.environ['PPIO_AGENT_INSPECT_RUNS'] + '.'",
    );
    for (file, environment, expected) in [
        (None, None, "true."),
        (Some("false"), None, "false."),
        (None, Some("false"), "false."),
        (Some("false"), Some("true"), "true."),
    ] {
        let sandbox = Sandbox::new();
        let folder = python_project(&sandbox, &agent);
        if let Some(value) = file {
            let text = format!("PPIO_AGENT_INSPECT_RUNS={value}\n");
            fs::write(folder.join(".env"), text).expect("written");
        }
        let mut command = sandbox.command(["agent", "dev", "--port", "0"]);
        if let Some(value) = environment {
            command = command.env("PPIO_AGENT_INSPECT_RUNS", value);
        }
        let dev = Dev {
            running: command.in_folder(&folder).spawn(),
        };
        let answer = ask(&dev.address(), "GET /");
        assert!(
            answer.ends_with(&format!("\r\n\r\n{expected}")),
            "{file:?} {environment:?}: {answer}"
        );
        dev.running.interrupt();
        dev.running.wait().code(0);
    }
}

#[test]
fn a_program_restarts_although_it_is_not_compiled_again() {
    let sandbox = Sandbox::new();
    let folder = rust_project(&sandbox, "variables");
    let main = folder.join("src/main.rs");
    edit(
        &main,
        "if cfg!(debug_assertions) { \"debug profile\" } else { \"release profile\" }",
        "std::env::var(\"WORD\").unwrap_or(\"none\".to_owned())",
    );
    let dev = Dev::build(&sandbox, &folder, 0);
    let address = dev.address();
    assert!(ask(&address, "GET /").ends_with("\r\n\r\nnone"));
    fs::write(folder.join(".env"), "WORD=some\n").expect("written");
    eventually("the value is there", || {
        ask(&address, "GET /").ends_with("\r\n\r\nsome")
    });
    dev.running.interrupt();
    dev.running.wait().code(0);
}
