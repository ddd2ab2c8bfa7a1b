//! Compares what `deploy/` states about an agent with a running agent: the manifests, the image's
//! Dockerfile, and an image that contains only the program and the C library.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ppio_test_support::{AgentProcess, call, example_binary};
use serde_json::{Value, json};

fn deploy(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../deploy")
        .join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn manifest(name: &str) -> Value {
    serde_yaml::from_str(&deploy(&format!("kubernetes/{name}.yaml"))).unwrap()
}

/// Returns the pod specifications of the two ways to run an agent, each with its manifest's name.
fn pods() -> [(&'static str, Value); 2] {
    [
        (
            "deployment",
            manifest("deployment")["spec"]["template"]["spec"].take(),
        ),
        (
            "sandbox",
            manifest("sandbox")["spec"]["podTemplate"]["spec"].take(),
        ),
    ]
}

fn environment(pod: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    pod["containers"][0]["env"]
        .as_array()
        .unwrap()
        .iter()
        .map(|variable| (text(&variable["name"]), text(&variable["value"])))
        .collect()
}

fn status_of(address: SocketAddr, path: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    write!(
        socket,
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn an_agent_with_the_manifests_environment_answers_its_probes_and_ends_within_its_grace() {
    for (name, pod) in pods() {
        let mut launcher = AgentProcess::example("hello");
        for (key, value) in environment(&pod) {
            launcher = launcher.env(key, value);
        }
        let agent = launcher.start();
        let container = &pod["containers"][0];
        let mut probes = 0;
        for kind in ["startupProbe", "readinessProbe", "livenessProbe"] {
            if let Some(probe) = container.get(kind) {
                let path = probe["httpGet"]["path"].as_str().unwrap();
                assert_eq!(status_of(agent.addr(), path), "200", "{name}: {kind}");
                assert_eq!(probe["httpGet"]["port"], "http", "{name}: {kind}");
                probes += 1;
            }
        }
        assert!(probes >= 2, "{name} has probes");
        assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/ping");
        assert!(agent.stop_gracefully().success());
    }
}

#[test]
fn kubernetes_waits_longer_than_the_shutdown_of_the_agent() {
    for (name, pod) in pods() {
        let environment = environment(&pod);
        let grace = environment
            .iter()
            .find(|(key, _)| key == "PPIO_AGENT_SHUTDOWN_GRACE");
        let grace: u64 = grace.unwrap().1.parse().unwrap();
        let sleep = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
            .as_u64()
            .unwrap_or(0);
        let given = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
        assert!(
            given >= grace + sleep + 5,
            "{name}: {given} s for {sleep} + {grace} s"
        );
    }
}

#[test]
fn pods_comply_with_the_restricted_standard() {
    for (name, pod) in pods() {
        let user = &pod["securityContext"];
        assert_eq!(user["runAsNonRoot"], true, "{name}");
        assert!(user["runAsUser"].as_u64().unwrap() > 0, "{name}");
        assert_eq!(user["seccompProfile"]["type"], "RuntimeDefault", "{name}");
        assert_eq!(pod["automountServiceAccountToken"], false, "{name}");
        let container = &pod["containers"][0];
        let context = &container["securityContext"];
        assert_eq!(context["allowPrivilegeEscalation"], false, "{name}");
        assert_eq!(context["readOnlyRootFilesystem"], true, "{name}");
        assert_eq!(context["capabilities"], json!({"drop": ["ALL"]}), "{name}");
        assert!(container["resources"]["limits"]["memory"].is_string());
    }
}

#[test]
fn labels_and_selectors_of_the_manifests_match() {
    let deployment = manifest("deployment");
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    assert_eq!(&deployment["spec"]["selector"]["matchLabels"], labels);
    let service = manifest("service");
    assert_eq!(&service["spec"]["selector"], labels);
    let port = &deployment["spec"]["template"]["spec"]["containers"][0]["ports"][0];
    assert_eq!(service["spec"]["ports"][0]["targetPort"], port["name"]);
    assert_eq!(port["containerPort"], 8080);
    let budget = manifest("poddisruptionbudget");
    assert_eq!(&budget["spec"]["selector"]["matchLabels"], labels);
    assert!(budget["spec"]["minAvailable"].as_u64() < deployment["spec"]["replicas"].as_u64());
    let kustomization = manifest("kustomization");
    for resource in kustomization["resources"].as_array().unwrap() {
        deploy(&format!("kubernetes/{}", resource.as_str().unwrap()));
    }
    // The headless service of a sandbox must not receive the deployment's requests.
    let sandbox = manifest("sandbox");
    assert_ne!(
        &sandbox["spec"]["podTemplate"]["metadata"]["labels"],
        labels
    );
}

#[test]
fn the_image_runs_as_the_pods_user_and_checks_its_own_health() {
    let dockerfile = deploy("Dockerfile");
    let image = dockerfile.rsplit_once("\nFROM ").unwrap().1;
    let line = |instruction: &str| {
        image
            .lines()
            .find_map(|line| line.strip_prefix(instruction))
            .unwrap_or_else(|| panic!("no {instruction} in the last stage"))
            .trim()
    };
    let (user, group) = line("USER ").split_once(':').unwrap();
    for (name, pod) in pods() {
        let context = &pod["securityContext"];
        assert_eq!(context["runAsUser"].to_string(), user, "{name}");
        assert_eq!(context["runAsGroup"].to_string(), group, "{name}");
    }
    assert_eq!(line("EXPOSE "), "8080");
    let entrypoint: Vec<String> = serde_json::from_str(line("ENTRYPOINT ")).unwrap();
    let (_, check) = line("HEALTHCHECK ").split_once("CMD ").unwrap();
    let check: Vec<String> = serde_json::from_str(check).unwrap();
    assert_eq!(check, [entrypoint[0].as_str(), "--healthcheck"]);
}

/// Pages of every origin may call a deployed agent unless its author changes
/// `PPIO_AGENT_DEFAULT_CORS_ORIGINS`. This variable is set in the image and the manifests, which an
/// author reads.
#[tokio::test]
async fn deployed_agents_answer_pages_of_every_origin() {
    let variable = "PPIO_AGENT_DEFAULT_CORS_ORIGINS";
    let image = deploy("Dockerfile");
    assert!(
        image
            .lines()
            .any(|line| line == format!("ENV {variable}=*"))
    );
    for (name, pod) in pods() {
        let environment = environment(&pod);
        let origins = environment.iter().find(|(key, _)| key == variable);
        let (_, origins) = origins.unwrap_or_else(|| panic!("{name} sets no {variable}"));
        let agent = AgentProcess::example("hello")
            .env(variable, origins)
            .start();
        let page = [("origin", "https://app.example")];
        let answer = call::invoke_with(&agent, &page, &json!({})).await;
        assert_eq!(answer.status(), 200, "{name}");
        assert_eq!(answer.headers()["access-control-allow-origin"], "*");
    }
}

/// Returns a command in a root folder like that of the image: with the program, the C library that
/// it is linked with, no write permission, and an unprivileged user.
fn in_an_empty_image(program: &Path) -> Command {
    let mut bubblewrap = Command::new("bwrap");
    bubblewrap
        .args(["--unshare-all", "--share-net", "--die-with-parent"])
        .args(["--uid", "65532", "--gid", "65532"])
        .arg("--ro-bind")
        .arg(program)
        .arg("/agent");
    for library in libraries(program) {
        bubblewrap.arg("--ro-bind").arg(&library).arg(&library);
    }
    bubblewrap.args(["--remount-ro", "/"]);
    let works = Command::new("bwrap")
        .args(["--ro-bind", "/", "/", "--unshare-all", "true"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    assert!(
        works,
        "bubblewrap does not work: install bubblewrap, and allow user namespaces"
    );
    bubblewrap
}

/// Returns the libraries that the dynamic linker would load.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(program).output().unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
        .map(PathBuf::from)
        .collect()
}

#[test]
fn an_agent_needs_only_the_c_library_of_its_image() {
    let program = example_binary("hello");
    let names: Vec<_> = libraries(&program)
        .iter()
        .map(|library| library.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    // The libraries in the `cc` image of distroless.
    for name in &names {
        let known = ["libc.so", "libgcc_s.so", "libm.so", "ld-linux"];
        assert!(known.iter().any(|known| name.starts_with(known)), "{name}");
    }
    let mut serve = in_an_empty_image(&program);
    let mut check = in_an_empty_image(&program);
    serve.arg("/agent");
    let agent = AgentProcess::command(serve).start();
    let port = agent.addr().port().to_string();
    check
        .args(["/agent", "--healthcheck"])
        .env("PPIO_AGENT_PORT", port);
    assert!(check.status().unwrap().success(), "the health check passes");
    drop(agent);
    let output = check.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("unhealthy: "));
}
