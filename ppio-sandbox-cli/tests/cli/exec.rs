//! `agent exec` with pipes.

use std::io::Read as _;

use ppio_agent_client::platform::SandboxState;
use rustix::process::Signal;
use sha2::{Digest as _, Sha256};

use crate::support::{
    Invocation, Sandbox, Stdin, eventually, on_runtime, quiet_sandbox, scripted, send,
};

fn exec(sandbox: &Sandbox, id: &str, options: &[&str], program: &[&str]) -> Invocation {
    let command = sandbox.command(["agent", "exec", id]).args(options);
    match program {
        [] => command,
        program => command.arg("--").args(program),
    }
}

/// Whether a program of a client runs in the sandbox.
fn is_running(sandbox: &Sandbox, id: &str, program: &str) -> bool {
    on_runtime(async {
        let session = sandbox.client().get_session(id).await;
        let session = session.expect("an answer").expect("an open session");
        let processes = session.envd().list_processes().await.expect("listed");
        session.detach();
        let mut commands = processes.iter().map(|process| process.config.to_string());
        commands.any(|command| command.contains(program))
    })
}

#[test]
fn a_program_has_pipes_and_its_exit_code_is_passed_on() {
    // Options, program, input, exit code, standard output, standard error.
    type Case = (
        &'static [&'static str],
        Vec<&'static str>,
        &'static str,
        i32,
        &'static str,
        &'static str,
    );
    let (sandbox, id) = quiet_sandbox();
    let sh = |script: &'static str| vec!["sh", "-c", script];
    let cases: Vec<Case> = vec![
        (&[], sh("echo out; echo err >&2"), "", 0, "out\n", "err\n"),
        (&[], sh("printf a; printf b >&2; exit 3"), "", 3, "a", "b"),
        (&[], sh("exit 255"), "", 255, "", ""),
        (&[], sh("kill -9 $$"), "", 137, "", ""),
        (&[], sh("kill -TERM $$"), "", 143, "", ""),
        (&[], vec!["cat"], "one\ntwo", 0, "one\ntwo", ""),
        (
            &[],
            sh("test -t 0 || test -t 1 || echo none"),
            "",
            0,
            "none\n",
            "",
        ),
        // These programs read their input late, or not at all.
        (&[], sh("sleep 0.2; cat"), "late", 0, "late", ""),
        (
            &[],
            sh("exec <&-; echo closed"),
            "unread",
            0,
            "closed\n",
            "",
        ),
        (
            &[],
            vec!["printf", "%s|", "a b", "$HOME", "--json"],
            "",
            0,
            "a b|$HOME|--json|",
            "",
        ),
        // Without a program a shell runs, which reads commands.
        (&[], vec![], "echo $((1 + 1)); exit 4", 4, "2\n", ""),
        (
            &[
                "-e", "A=1 2", "--env", "TOLD", "--cwd", "/tmp", "--user", "root",
            ],
            sh("echo \"$A $TOLD $USER\"; pwd"),
            "",
            0,
            "1 2 here root\n/tmp\n",
            "",
        ),
    ];
    for (options, program, input, code, stdout, stderr) in cases {
        let command = exec(&sandbox, &id, options, &program).env("TOLD", "here");
        let done = command.input(input).run().code(code);
        assert_eq!(
            (&*done.stdout, &*done.stderr),
            (stdout, stderr),
            "{program:?}"
        );
    }
    for (options, program, code, says) in [
        (&[][..], &["no-such-program"][..], 127, "no-such-program"),
        (&[], &["/no/such/program"], 127, "/no/such/program"),
        (&[], &["/etc/passwd"], 126, "/etc/passwd"),
        (
            &["--cwd", "/no/such"],
            &["true"],
            3,
            "cwd '/no/such' does not exist",
        ),
        (
            &["--user", "nobody"],
            &["true"],
            3,
            "invalid username: 'nobody'",
        ),
        (&["-e", "1A=x"], &["true"], 2, "\"1A\" cannot be a variable"),
        (&["-e", "NOT_SET"], &["true"], 2, "NOT_SET is not set"),
        (&["--session", "sb"], &["true"], 2, "cannot be used with"),
        (&["--tty", "--no-tty"], &["true"], 2, "cannot be used with"),
    ] {
        let done = exec(&sandbox, &id, options, program).run().code(code);
        assert_eq!(done.stdout, "", "{program:?}");
        done.says(says);
    }
    let missing = sandbox.run(["agent", "exec", "missing", "--json", "--", "true"]);
    let failure = missing.code(3).failure();
    assert_eq!(failure["error"], "cannot use session missing");
}

#[test]
fn binary_input_and_output_pass_unchanged() {
    let (sandbox, id) = quiet_sandbox();
    let mut bytes = vec![0; 1 << 20];
    fastrand::Rng::with_seed(7).fill(&mut bytes);
    let store = exec(&sandbox, &id, &[], &["sh", "-c", "tee stored | sha256sum"]);
    let done = store.stdin(Stdin::Bytes(bytes.clone())).run().code(0);
    let digest = format!("{:x}", Sha256::digest(&bytes));
    assert_eq!(done.stdout, format!("{digest}  -\n"));

    // A program may end without reading its input.
    let unread = exec(&sandbox, &id, &[], &["sh", "-c", "exit 5"]);
    unread.stdin(Stdin::Bytes(bytes.clone())).run().code(5);

    let (mut process, mut stdout) = exec(&sandbox, &id, &[], &["cat", "stored"]).spawn_unread();
    let mut read = Vec::new();
    stdout.read_to_end(&mut read).expect("read");
    assert!(read == bytes, "{} bytes", read.len());
    eventually("the command ends", || process.status().is_some());
    assert!(process.status().expect("an exit status").success());
}

#[test]
fn what_ends_the_command_ends_the_program() {
    let (sandbox, id) = quiet_sandbox();
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 143)] {
        let program = ["sh", "-c", "echo started; exec sleep 4321"];
        let command = exec(&sandbox, &id, &[], &program)
            .stdin(Stdin::Open)
            .spawn();
        eventually("the program runs", || command.stdout().contains("started"));
        send(command.pid(), signal);
        command.wait().code(code);
        eventually("the program ends", || !is_running(&sandbox, &id, "4321"));
    }
    let (mut process, mut stdout) = exec(&sandbox, &id, &[], &["yes", "4321"]).spawn_unread();
    stdout.read_exact(&mut [0; 4]).expect("a line");
    drop(stdout);
    eventually("the command ends", || process.status().is_some());
    assert!(process.status().expect("an exit status").success());
    eventually("the program ends", || !is_running(&sandbox, &id, "4321"));
}

#[test]
fn the_newest_session_is_used_and_a_paused_one_resumed() {
    let sandbox = Sandbox::with([scripted("agent")]);
    let project = sandbox.project("agent", &sandbox.template("agent"));
    let in_project = || {
        let command = sandbox.command(["agent", "exec", "--", "sh", "-c", "echo it runs"]);
        command.in_folder(&project)
    };
    in_project()
        .run()
        .code(3)
        .says("agent has no open session")
        .says("--keep");
    let state = |id: &str| {
        on_runtime(async {
            let client = sandbox.client();
            client
                .platform()
                .get_sandbox(id)
                .await
                .expect("a sandbox")
                .state
        })
    };
    let id = on_runtime(async {
        let session = sandbox
            .client()
            .create_session("agent")
            .await
            .expect("made");
        session.pause().await.expect("paused");
        session.detach()
    });
    assert_eq!(state(&id), SandboxState::Paused);
    let done = in_project().run().code(0);
    assert_eq!(done.stdout, "it runs\n");
    done.says("the session is paused, resuming it");
    assert_eq!(state(&id), SandboxState::Running);
    let option = ["agent", "exec", "--session", &id, "--", "true"];
    sandbox.run(option).code(0);
}
