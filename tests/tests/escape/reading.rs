//! Checks that code of a sandbox cannot read anything of the machine that is not meant for it.

use std::fs;

use ppio_test_support::{processes_marked, processes_running};

use crate::setting::{Platform, Setting, Start, quote};

#[tokio::test(flavor = "multi_thread")]
async fn secrets_of_the_machine_stay_hidden() {
    for setting in Setting::confining() {
        let mut platform = Platform::start(setting, Start::Plain).await;
        let other = platform.sandbox("base").await;
        let directory = other.shell("printf %s \"$PPIO_LOCAL_SANDBOX\"").await;
        let secret = format!("secret-of-a-sandbox-{:016x}", fastrand::u64(..));
        let path = "/home/user/secret";
        other.envd.write_file(path, secret.clone()).await.unwrap();
        platform
            .secrets
            .push((format!("{directory}/root{path}").into(), secret));
        if let Ok(shadow) = fs::read_to_string("/etc/shadow") {
            let line = shadow.lines().next().unwrap().to_owned();
            platform.secrets.push(("/etc/shadow".into(), line));
        }

        let inside = platform.sandbox("base").await;
        let mut places: Vec<_> = platform
            .secrets
            .iter()
            .map(|(place, _)| place.clone())
            .collect();
        places.push("/proc/1/environ".into());
        for place in places {
            for before in [
                "",
                "/proc/1/root",
                "/proc/self/root",
                "/proc/1/cwd/../..",
                "/oldroot",
            ] {
                let path = format!("{before}{}", place.display());
                let output = inside.shell(&format!("cat {}", quote(&path))).await;
                platform.check(&format!("cat {path}"), &output);
                if let Ok(file) = inside.envd.read_file(&path).await {
                    platform.check(
                        &format!("the files call for {path}"),
                        &String::from_utf8_lossy(&file),
                    );
                }
            }
        }
        // Reads files in the sandbox's own directory and in neighbouring directories.
        let around = inside.shell("cd \"$PPIO_LOCAL_SANDBOX\"; cat locks ../*/locks ../../*/key");
        let around = around.await;
        platform.check("a walk from the sandbox's directory", &around);
        if setting.bubblewrap {
            let system = inside
                .shell("ls -a /etc /var /opt /home /root /run /mnt /srv")
                .await;
            for name in [
                "shadow",
                "sudoers",
                "ssh",
                "pip.conf",
                "npmrc",
                "gitconfig",
                "lib",
            ] {
                let shown = system.lines().any(|line| line == name);
                assert!(!shown, "{setting:?}: {name} is shown: {system}");
            }
            let accounts = inside.shell("cat /etc/passwd; whoami; echo $HOME").await;
            assert!(
                accounts.ends_with("user\n/home/user\n"),
                "{setting:?}: {accounts}"
            );
            assert_eq!(accounts.lines().count(), 5, "{setting:?}: {accounts}");
        }
        inside.kill().await;
        other.kill().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn file_calls_have_the_files_and_rights_of_a_command() {
    for setting in Setting::with_bubblewrap() {
        let platform = Platform::start(setting, Start::Plain).await;
        let inside = platform.sandbox("base").await;
        for path in ["/etc/passwd", "/etc/hostname", "/usr/bin/env"] {
            let read = inside.envd.read_file(path).await.unwrap();
            let sum = inside
                .shell(&format!("cksum < {path}; wc -c < {path}"))
                .await;
            let length = sum.lines().last().unwrap();
            assert_eq!(read.len().to_string(), length, "{setting:?}: {path}");
        }
        assert_ne!(
            inside.envd.read_file("/etc/passwd").await.unwrap(),
            fs::read("/etc/passwd").unwrap(),
            "{setting:?}"
        );
        inside
            .envd
            .write_file("/var/tmp/made/file", "text")
            .await
            .unwrap();
        let owners = inside
            .shell("stat -c %U /var/tmp/made /var/tmp/made/file; id -un")
            .await;
        assert_eq!(owners, "user\nuser\nuser\n", "{setting:?}");
        inside.shell("echo x > ~/closed; chmod 0 ~/closed").await;
        let mut refused = vec!["/home/user/closed", "/proc/kcore", "/dev/null"];
        if setting.as_root {
            // A process of root, which the sandbox's user cannot inspect.
            refused.push("/proc/1/environ");
        }
        for path in refused {
            let read = inside.envd.read_file(path).await;
            assert!(read.is_err(), "{setting:?}: {path} is read");
        }
        for path in [
            "/home/user/closed",
            "/etc/hostname",
            "/usr/bin/env",
            "/proc/sys/kernel/hostname",
        ] {
            let written = inside.envd.write_file(path, "text").await.unwrap_err();
            assert_eq!(
                written.status(),
                Some(403),
                "{setting:?}: {path}: {written}"
            );
            let moved = inside.envd.rename(path, "/etc/moved").await;
            assert!(moved.is_err(), "{setting:?}: {path} is moved");
        }
        inside.kill().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_inherits_no_descriptor_and_no_terminal() {
    for setting in Setting::all() {
        let platform = Platform::start(setting, Start::FromTerminal).await;
        let pid = i32::try_from(platform.running.pid()).unwrap();
        let inherited = platform.outside.path().join("secret-of-root");
        let holds = |pid: i32| {
            let descriptors = fs::read_dir(format!("/proc/{pid}/fd"));
            let mut descriptors = descriptors.into_iter().flatten().flatten();
            descriptors.any(|fd| fs::read_link(fd.path()).is_ok_and(|target| target == inherited))
        };
        assert!(holds(pid), "the platform did not inherit the descriptor");
        assert_ne!(terminal_of(pid), 0, "the platform has no terminal");

        let inside = platform.sandbox("base").await;
        let output = inside
            .shell("sleep 600 & cat <&9; ls /proc/self/fd /proc/*/fd")
            .await;
        platform.check("a descriptor that was inherited", &output);
        let run = fs::read_dir(platform.running.home().join("run")).unwrap();
        let run = run.flatten().next().unwrap().path();
        let real = run.canonicalize().unwrap();
        let mut started = processes_marked(platform.running.home());
        for run in [&run, &real] {
            started.extend(processes_running(run.to_str().unwrap()));
        }
        assert!(started.len() > 1, "{setting:?}: {started:?}");
        for started in started.into_iter().filter(|started| *started != pid) {
            let line = fs::read_to_string(format!("/proc/{started}/cmdline")).unwrap_or_default();
            assert!(!holds(started), "{setting:?}: {line} has the descriptor");
        }

        let opened = inside
            .shell("(exec 3<>/dev/tty) 2>/dev/null && echo opened")
            .await;
        assert_eq!(opened, "", "{setting:?}: the platform's terminal opens");
        inside.kill().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_of_a_sandbox_is_not_that_of_the_platform() {
    for setting in Setting::all() {
        let platform = Platform::start(setting, Start::Plain).await;
        let pid = i32::try_from(platform.running.pid()).unwrap();
        assert_eq!(terminal_of(pid), 0);
        let inside = platform.sandbox("base").await;
        let mut command = ppio_agent_client::platform::Command::new("/bin/sh");
        command.args = vec![
            "-c".into(),
            "exec 3<>/dev/tty && echo tty >&3; echo out >/dev/stdout; echo err >/dev/stderr; \
             test -c \"$(tty)\" && : <>\"$(tty)\" && echo device"
                .into(),
        ];
        command.terminal = Some(ppio_agent_client::platform::TerminalSize {
            columns: 80,
            rows: 24,
        });
        let output = inside.run(&command).await;
        let expected = "tty\r\nout\r\nerr\r\ndevice\r\n";
        assert_eq!(output, expected, "{setting:?}");
        // The platform does not acquire a terminal through file calls either.
        for device in ["/dev/tty", "/dev/pts/0", "/dev/ptmx", "/dev/console"] {
            let _ = inside.envd.read_file(device).await;
            let _ = inside.envd.write_file(device, "text").await;
        }
        assert_eq!(
            terminal_of(pid),
            0,
            "{setting:?}: the platform took the terminal"
        );
        let again = inside
            .shell("echo out >/dev/stdout; echo err >/dev/stderr")
            .await;
        assert_eq!(again, "out\nerr\n", "{setting:?}");

        // A kill ends the program on the terminal, whichever session it belongs to.
        command.args[1] = "trap '' HUP; echo started; sleep 600 & wait".into();
        let mut events = inside.envd.start(&command).await.unwrap();
        let mut text = Vec::new();
        let mut started = None;
        while !text.ends_with(b"started\r\n") {
            match events.next().await.unwrap().expect("the program continues") {
                ppio_agent_client::platform::ProcessEvent::Started { pid } => started = Some(pid),
                ppio_agent_client::platform::ProcessEvent::Stdout(more) => text.extend(more),
                other => panic!("{other:?}"),
            }
        }
        let selector = ppio_agent_client::platform::ProcessSelector::Pid(started.unwrap());
        let kill = ppio_agent_client::platform::Signal::Kill;
        inside.envd.send_signal(&selector, kill).await.unwrap();
        let left = "ps -eo args | grep -c '^[/]bin/sh -c trap'";
        let left = inside.shell(left).await;
        assert_eq!(left, "0\n", "{setting:?}: the program still runs");
        inside.kill().await;
    }
}

/// Returns the number of the controlling terminal of a process; 0 for none.
fn terminal_of(pid: i32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields = stat.rsplit_once(')').unwrap().1;
    fields.split_whitespace().nth(4).unwrap().parse().unwrap()
}
