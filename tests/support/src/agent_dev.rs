//! `agent dev` with an agent that is already compiled.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::{env, fs, thread};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{eventually_blocking, example_binary};

const PROJECT: &str = "\
apiVersion: v1
kind: Agent
metadata:
  name: developed
  version: \"1.0.0\"
  author: developer@example.com
spec:
  entrypoint: agent.py
";

/// A running `agent dev`. Dropping it stops `agent dev` and its agent.
///
/// The project is a Python project whose program executes the agent, so that cargo has nothing to
/// build.
pub struct AgentDev {
    process: Child,
    folder: PathBuf,
    address: SocketAddr,
    /// The lines of the JSON output so far.
    lines: Arc<Mutex<Vec<String>>>,
}

impl AgentDev {
    /// Starts `agent dev` with an agent and additional environment variables.
    ///
    /// # Panics
    ///
    /// If `agent dev` does not start to serve the agent in time.
    pub fn start(agent: &Path, variables: &[(&str, &str)]) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("agent-dev-{}-{number}", std::process::id());
        let folder = env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("agent.yaml"), PROJECT).expect("written");
        let agent = agent.to_str().expect("a path in UTF-8");
        let program = format!("import os\nos.execv({agent:?}, [{agent:?}])\n");
        fs::write(folder.join("agent.py"), program).expect("written");
        let mut process = Command::new(Self::program())
            .args(["agent", "dev", "--port", "0", "--json"])
            .current_dir(&folder)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("`agent dev` starts");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&lines);
        let output = process.stdout.take().expect("a pipe");
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let mut lines = written.lock().unwrap_or_else(PoisonError::into_inner);
                lines.push(line);
            }
        });
        let mut dev = Self {
            process,
            folder,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            lines,
        };
        eventually_blocking("`agent dev` serves", || dev.find_address());
        dev
    }

    /// Returns the path of the command line program, built first if needed.
    pub fn program() -> PathBuf {
        example_binary("ppio-sandbox-cli")
    }

    /// Returns the address on which `agent dev` listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the output of `agent dev` and its agent so far.
    pub fn output(&self) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.join("\n")
    }

    /// Changes the source of the project, and waits until `agent dev` has restarted the agent.
    ///
    /// # Panics
    ///
    /// If the new agent does not serve in time.
    pub fn restart_agent(&self) {
        let serving = || self.output().matches(r#""event":"serving""#).count();
        let before = serving();
        let file = self.folder.join("agent.py");
        let mut text = fs::read_to_string(&file).expect("the program");
        text.push_str("# changed\n");
        fs::write(&file, text).expect("written");
        eventually_blocking("the new agent serves", || serving() > before);
    }

    fn find_address(&mut self) -> bool {
        let output = self.output();
        let mut events = output
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        if let Some(event) = events.find(|event| event["event"] == "serving") {
            let url = event["url"].as_str().unwrap_or_default();
            let address = url.trim_start_matches("http://").trim_end_matches('/');
            self.address = address.parse().expect("an address");
            return true;
        }
        let ended = self.process.try_wait().expect("a process");
        assert!(ended.is_none(), "`agent dev` has ended: {output}");
        false
    }
}

impl Drop for AgentDev {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.process), Signal::INT);
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
