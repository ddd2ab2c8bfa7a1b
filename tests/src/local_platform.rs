//! A local platform of a test's own, and what the test must find when it is gone.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ppio_agent_client::{AgentRuntimeClient, ClientConfig};
use ppio_sandbox_local::{IsolationKind, LocalPlatform, LocalPlatformBuilder, TemplateSpec};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::example_binary;

/// How long processes may take to be gone, and other conditions to come true.
const DEADLINE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(5);

/// One way in which sandboxes can be kept apart.
#[derive(Debug, Clone, Copy)]
pub struct Keeping {
    /// What hides the machine from sandboxes.
    pub isolation: IsolationKind,
    /// Whether cgroups freeze and kill, where they can be made, or signals.
    pub cgroups: bool,
}

impl Keeping {
    /// All that work on this machine.
    ///
    /// # Panics
    ///
    /// Without bubblewrap in continuous integration, where nobody would read that it was left out.
    pub async fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for isolation in [IsolationKind::ProcessGroup, IsolationKind::Bubblewrap] {
            let home = tempfile::tempdir().expect("a temporary directory");
            let trial = LocalPlatform::builder()
                .home(home.path())
                .isolation(isolation)
                .start()
                .await;
            match trial {
                Ok(platform) => platform.shutdown().await.expect("a clean end"),
                Err(error) => {
                    assert!(std::env::var_os("CI").is_none(), "{error}");
                    eprintln!("left out: {error}");
                    continue;
                }
            }
            all.extend([true, false].map(|cgroups| Self { isolation, cgroups }));
        }
        all
    }
}

/// A running platform with a home of its own.
pub struct TestPlatform {
    /// The platform.
    pub platform: LocalPlatform,
    home: TempDir,
}

/// What a raw request was answered with.
#[derive(Debug)]
pub struct RawAnswer {
    /// The status code.
    pub status: u16,
    /// The head, status line included.
    pub head: String,
    /// The body, as it was sent.
    pub body: Vec<u8>,
}

impl RawAnswer {
    /// The body as JSON, null when it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

impl TestPlatform {
    /// Starts a platform that keeps its sandboxes apart as `keeping` says.
    ///
    /// # Panics
    ///
    /// It does not start.
    pub async fn start(keeping: Keeping) -> Self {
        Self::with(|builder| {
            builder
                .isolation(keeping.isolation)
                .cgroups(keeping.cgroups)
        })
        .await
    }

    /// Starts a platform with these settings.
    ///
    /// # Panics
    ///
    /// It does not start.
    pub async fn with(settings: impl FnOnce(LocalPlatformBuilder) -> LocalPlatformBuilder) -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let builder = LocalPlatform::builder().home(home.path());
        let platform = settings(builder)
            .start()
            .await
            .expect("the platform starts");
        Self { platform, home }
    }

    /// A client of it.
    ///
    /// # Panics
    ///
    /// Never: a platform has a key.
    pub fn client(&self) -> AgentRuntimeClient {
        AgentRuntimeClient::builder()
            .config(ClientConfig {
                base_url: Some(self.platform.url()),
                domain: Some(self.platform.domain()),
                ..ClientConfig::default()
            })
            .api_key(self.platform.api_key())
            .build()
            .expect("a key and good addresses")
    }

    /// The id of a template that runs one of the examples.
    ///
    /// # Panics
    ///
    /// It cannot be built.
    pub async fn agent(&self, example: &'static str) -> String {
        let binary = tokio::task::spawn_blocking(move || example_binary::build(example))
            .await
            .expect("the example builds");
        let spec = TemplateSpec::new(example).binary(binary);
        let template = self.platform.build_template(spec).await;
        template.expect("the template builds").id
    }

    /// Sends one request with the API key and these headers, and reads the answer to its end.
    ///
    /// # Panics
    ///
    /// The platform does not answer.
    pub async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> RawAnswer {
        let key = ("x-api-key", self.platform.api_key());
        let mut all = vec![key];
        all.extend(headers);
        self.request_without_key(method, path, &all, body).await
    }

    /// As [`TestPlatform::request`], with these headers alone.
    ///
    /// # Panics
    ///
    /// The platform does not answer.
    pub async fn request_without_key(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> RawAnswer {
        raw_request(self.platform.address(), method, path, headers, body).await
    }

    /// The directories of sandboxes and builds that exist now.
    pub fn directories(&self) -> Vec<String> {
        let runs = fs::read_dir(self.home.path().join("run"));
        runs.into_iter()
            .flatten()
            .flatten()
            .flat_map(|run| fs::read_dir(run.path()).into_iter().flatten().flatten())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect()
    }

    /// The processes of its sandboxes.
    pub fn processes(&self) -> Vec<i32> {
        processes_marked(self.platform.home())
    }

    /// Ends the platform, which must have no sandbox any more and leave neither process nor file.
    ///
    /// # Panics
    ///
    /// Something is left.
    pub async fn stop(self) {
        assert_eq!(self.platform.sandbox_count(), 0, "sandboxes are left");
        assert_eq!(self.directories(), [""; 0], "files of sandboxes are left");
        let home = self.platform.home().to_owned();
        let marks = marks(&home);
        self.platform.shutdown().await.expect("a clean end");
        assert_eq!(processes_with(&marks), [0; 0], "processes are left");
        let runs = fs::read_dir(home.join("run")).expect("the home is there");
        assert_eq!(runs.count(), 0, "files of the platform are left");
    }
}

/// Sends one request to `address` and reads the answer to its end.
///
/// # Panics
///
/// There is no answer.
pub async fn raw_request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> RawAnswer {
    let (host, length) = (address.to_string(), body.len().to_string());
    let mut all = headers.to_vec();
    if !headers.iter().any(|(name, _)| *name == "host") {
        all.push(("host", &host));
    }
    all.extend([("content-length", length.as_str()), ("connection", "close")]);
    let lines = all
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"));
    let lines: String = lines.collect();
    let head = format!("{method} {path} HTTP/1.1\r\n{lines}\r\n");
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(head.as_bytes()).await?;
        // A request may be refused before its body is read.
        let _ = stream.write_all(body).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = tokio::time::timeout(DEADLINE, exchange)
        .await
        .unwrap_or_else(|_| panic!("{method} {path} was not answered"))
        .unwrap_or_else(|error| panic!("{method} {path}: {error}"));
    let end = answer
        .windows(4)
        .position(|part| part == b"\r\n\r\n")
        .unwrap_or_else(|| panic!("{method} {path} has no head"));
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    RawAnswer {
        status: status.unwrap_or_else(|| panic!("{method} {path} has no status: {head}")),
        head,
        body: answer[end + 4..].to_vec(),
    }
}

/// Processes of the sandboxes of the platform in `home`: the environment of each names the sandbox's
/// directory.
pub fn processes_marked(home: &Path) -> Vec<i32> {
    processes_with(&marks(home))
}

/// Where the sandboxes of a home are: in it, or where a platform that runs as root put them.
fn marks(home: &Path) -> Vec<PathBuf> {
    let runs = fs::read_dir(home.join("run"));
    let elsewhere = runs.into_iter().flatten().flatten();
    let elsewhere = elsewhere.filter_map(|run| fs::read_link(run.path()).ok());
    std::iter::once(home.to_owned()).chain(elsewhere).collect()
}

fn processes_with(marks: &[PathBuf]) -> Vec<i32> {
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    let is_marked = |environ: &[u8]| {
        marks.iter().any(|mark| {
            let mark = mark.as_os_str().as_bytes();
            environ.windows(mark.len()).any(|part| part == mark)
        })
    };
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            fs::read(entry.path().join("environ")).is_ok_and(|environ| is_marked(&environ))
        })
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != own)
        .collect()
}

/// Processes with this text as one argument on their command line.
pub fn processes_running(argument: &str) -> Vec<i32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            fs::read(entry.path().join("cmdline")).is_ok_and(|line| {
                line.split(|byte| *byte == 0)
                    .any(|part| part == argument.as_bytes())
            })
        })
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// Waits until `condition` gives something.
///
/// # Panics
///
/// It does not within 30 seconds.
pub async fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "still waiting: {what}");
        tokio::time::sleep(POLL).await;
    }
}
