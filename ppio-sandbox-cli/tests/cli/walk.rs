//! From an empty folder to a deployed agent and back, without an account, on a pseudo-terminal and
//! with pipes. The snapshots in `tests/cli/snapshots/` contain the output of each step.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;

use ppio_test_support::free_port;

use crate::support::scaffold::{self, pin_versions};
use crate::support::snapshot::{Transcript, screen};
use crate::support::{Invocation, Sandbox, eventually};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Walker {
    /// The commands run on a pseudo-terminal.
    Terminal,
    /// The commands run with pipes.
    Script,
}

struct Walk {
    walker: Walker,
    sandbox: Sandbox,
    folder: PathBuf,
    transcript: Transcript,
}

impl Walk {
    fn new(walker: Walker) -> Self {
        let sandbox = Sandbox::new();
        let folder = sandbox.path("empty");
        std::fs::create_dir(&folder).expect("a folder");
        let mut transcript = Transcript::default();
        let checkout = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let checkout = checkout.canonicalize().expect("the workspace");
        transcript.name(folder.display().to_string(), "<folder>");
        transcript.name(checkout.display().to_string(), "<checkout>");
        Self {
            walker,
            sandbox,
            folder,
            transcript,
        }
    }

    fn command(&self, line: &str) -> Invocation {
        let words = words(line);
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let command = scaffold::command(&self.sandbox, &self.folder, &words);
        // Colours depend on the name of the terminal.
        command.env("TERM", "xterm-256color")
    }

    /// Runs a command. Returns its output.
    #[track_caller]
    fn step(&mut self, line: &str) -> String {
        self.answered(line, None)
    }

    /// Runs a command, and answers its question on a pseudo-terminal; a script avoids the question.
    #[track_caller]
    fn answered(&mut self, line: &str, answer: Option<(&str, &str)>) -> String {
        let command = self.command(line);
        let (shown, code) = match self.walker {
            Walker::Terminal => {
                let (written, code) = command.run_on_pty(|terminal| {
                    if let Some((question, answer)) = answer {
                        terminal.expect_output(question);
                        terminal.send_keys(answer);
                    }
                });
                (screen(&written), code)
            }
            Walker::Script => {
                let done = command.run().code(0);
                (both(&done.stdout, &done.stderr), Some(0))
            }
        };
        assert_eq!(code, Some(0), "{line}\n{shown}");
        self.transcript
            .step(&format!("ppio-sandbox-cli {line}"), &shown, code);
        shown
    }

    /// Runs `agent dev`, with one call and Ctrl-C.
    #[track_caller]
    fn develop(&mut self) {
        let port = free_port();
        let line = format!("agent dev --port {port}");
        let command = self.command(&line);
        let address = format!("127.0.0.1:{port}");
        let (shown, code) = match self.walker {
            Walker::Terminal => {
                let (written, code) = command.run_on_pty(|terminal| {
                    terminal.expect_output("Ctrl-C stops it");
                    greet(&address);
                    terminal.expect_output("request_id");
                    terminal.send_keys("\x03");
                });
                (screen(&written), code)
            }
            Walker::Script => {
                let running = command.spawn();
                eventually("the agent serves", || {
                    running.stdout().contains(" is serving on ")
                });
                greet(&address);
                eventually("the call is logged", || {
                    running.stdout().contains("request_id")
                });
                running.interrupt();
                let done = running.wait().code(0);
                (both(&done.stdout, &done.stderr), Some(0))
            }
        };
        assert_eq!(code, Some(0), "{shown}");
        self.transcript
            .step("ppio-sandbox-cli agent dev", &shown, code);
        // The port is closed.
        assert!(TcpStream::connect(&address).is_err());
    }

    #[track_caller]
    fn enter(&mut self, project: &str) {
        self.folder = self.sandbox.path("empty").join(project);
        pin_versions(&self.folder);
        self.transcript.step(&format!("cd {project}"), "", Some(0));
    }
}

fn both(stdout: &str, stderr: &str) -> String {
    match (stdout, stderr) {
        ("", stderr) => format!("--- stderr\n{stderr}"),
        (stdout, "") => format!("--- stdout\n{stdout}"),
        (stdout, stderr) => format!("--- stderr\n{stderr}--- stdout\n{stdout}"),
    }
}

/// Splits a command line; `'a b'` is one word.
fn words(line: &str) -> Vec<String> {
    line.split('\'')
        .enumerate()
        .flat_map(|(number, part)| match number % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        })
        .collect()
}

fn greet(address: &str) {
    let mut stream = TcpStream::connect(address).expect("a connection");
    let body = r#"{"prompt": "Ada"}"#;
    write!(
        stream,
        "POST /invocations HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: \
         application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.contains("Hello, Ada!"), "{answer}");
}

/// Returns the value of a key in agent.yaml.
fn recorded(walk: &Walk, key: &str) -> String {
    let yaml = std::fs::read_to_string(walk.folder.join("agent.yaml")).expect("agent.yaml");
    let line = yaml.lines().find_map(|line| line.trim().strip_prefix(key));
    // The value is quoted if it could be read as a number.
    line.unwrap_or_else(|| panic!("no {key} in {yaml}"))
        .trim()
        .trim_matches(['"', '\''])
        .to_owned()
}

fn walk(walker: Walker) -> Transcript {
    // Both tests build in one folder at the same time, so each agent needs a name of its own.
    let (value, stream) = match walker {
        Walker::Terminal => ("greeter", "teller"),
        Walker::Script => ("robot", "printer"),
    };
    let mut walk = Walk::new(walker);
    let author = "--author ada@example.com";
    walk.step(&format!("agent init --name {value} {author}"));
    walk.enter(value);
    walk.develop();
    walk.step("agent deploy --local");
    let template = recorded(&walk, "template_id:");
    walk.transcript.name(template, "<template>");
    let build = recorded(&walk, "build_id:");
    walk.transcript.name(build, "<build>");
    walk.step("agent invoke --input Ada");
    walk.step("agent invoke --input Ada --keep");
    let session = walk.sandbox.sandboxes().pop().expect("the session is open");
    walk.transcript.name(session, "<session>");
    // Output reaches the platform's log after a moment.
    eventually("the call is logged", || {
        let log = walk.command("agent logs").run().code(0).stdout;
        log.contains("invocation finished")
    });
    walk.step("agent logs");
    walk.step("agent status");
    walk.step("agent list");
    walk.step("agent stop");
    assert!(walk.sandbox.sandboxes().is_empty());
    let yes = match walker {
        Walker::Terminal => "",
        Walker::Script => " --yes",
    };
    walk.answered(&format!("agent delete{yes}"), Some(("[y/N]", "y\n")));

    walk.folder = walk.sandbox.path("empty");
    walk.transcript.step("cd ..", "", Some(0));
    walk.step(&format!(
        "agent init --name {stream} --template stream {author}"
    ));
    walk.enter(stream);
    walk.step("agent deploy --local");
    let template = recorded(&walk, "template_id:");
    walk.transcript.name(template, "<template>");
    let build = recorded(&walk, "build_id:");
    walk.transcript.name(build, "<build>");
    let answer = walk.step("agent invoke --input 'once upon a time'");
    assert!(answer.contains("once upon a time"), "{answer}");
    walk.answered(&format!("agent delete{yes}"), Some(("[y/N]", "y\n")));
    walk.step("local down");
    walk.transcript
}

#[test]
fn on_a_terminal() {
    walk(Walker::Terminal).compare("terminal.txt");
}

#[test]
fn with_pipes() {
    walk(Walker::Script).compare("script.txt");
}
