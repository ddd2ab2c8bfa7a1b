//! Shared state, and the functions that build and release it.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ppio::testing::TestAgent;
use ppio::{
    AgentRuntimeApp, AgentRuntimeAppBuilder, BuilderEntrypoint, Json, LifecycleError, Next,
    PingStatus, Request, RequestContext, StartError, State, Value, json,
};
use tokio::sync::Semaphore;

use crate::support::{TestServer, config, get, invocation, with_timeout};

/// A state with a name.
#[derive(Debug)]
struct Named(&'static str);

/// The recorded events, in order.
#[derive(Clone, Default)]
struct Story(Arc<Mutex<Vec<&'static str>>>);

impl Story {
    fn add(&self, event: &'static str) {
        self.0.lock().expect("no panic").push(event);
    }

    fn events(&self) -> Vec<&'static str> {
        self.0.lock().expect("no panic").clone()
    }
}

/// A builder of an agent that returns its request.
fn echo() -> AgentRuntimeAppBuilder<BuilderEntrypoint> {
    AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(async |request: Value| Json(request))
}

fn lifecycle_error<T: std::fmt::Debug>(result: Result<T, StartError>) -> LifecycleError {
    match result {
        Err(StartError::Lifecycle(error)) => error,
        other => panic!("not an error of the lifecycle: {other:?}"),
    }
}

#[tokio::test]
async fn every_function_of_a_builder_takes_states() {
    type Taken = (State<Named>, State<u32>, State<Vec<u8>>);
    let apps = [
        AgentRuntimeApp::builder().entrypoint(
            async |_: Value, name: State<Named>, context: RequestContext, count: State<u32>| {
                assert!(!context.request_id().is_empty());
                Json(json!([name.0.0, *count]))
            },
        ),
        AgentRuntimeApp::builder().entrypoint(
            |_: Value, count: State<u32>, State(name): State<Named>| Json(json!([name.0, *count])),
        ),
    ];
    for builder in apps {
        let story = Story::default();
        let (inner, outer, end) = (story.clone(), story.clone(), story.clone());
        let app = builder
            .middleware_with_state(move |request: Request, next: Next, name: State<Named>| {
                inner.add(name.0.0);
                async { next.run(request).await }
            })
            .middleware_with_state_for_all_routes(
                move |request: Request, next: Next, _: State<u32>, _: State<Named>| {
                    outer.add("outer");
                    async { next.run(request).await }
                },
            )
            .ping(async |name: State<Named>, bytes: State<Vec<u8>>| {
                assert_eq!((name.0.0, &**bytes), ("a name", &[1, 2][..]));
                PingStatus::HealthyBusy
            })
            .state(Named("a name"))
            .startup(async || Ok::<_, Infallible>(7_u32))
            .startup(async || std::io::Result::Ok(vec![1_u8, 2]))
            .shutdown(
                async move |a: State<Named>, b: State<u32>, c: State<Vec<u8>>| {
                    let _: Taken = (a, b, c);
                    end.add("end");
                },
            )
            .build()
            .expect("an app");
        let agent = TestAgent::new(app);
        let reply = agent.invoke(&json!(null)).await;
        assert_eq!(reply.value::<Value>().await, json!(["a name", 7]));
        let ping = agent.ping().await.json::<Value>().await;
        assert_eq!(ping["status"], "HealthyBusy");
        agent.shut_down().await.expect("no failure");
        assert_eq!(story.events(), ["a name", "outer", "outer", "end"]);
    }
}

#[test]
fn a_missing_state_is_an_error_with_the_function_and_the_type() {
    let apps = [
        (
            "the entrypoint takes ",
            AgentRuntimeApp::builder()
                .entrypoint(async |_: Value, _: State<Named>| Json(()))
                .build(),
        ),
        (
            "the ping takes ",
            echo()
                .blocking_ping(|_: State<Named>| PingStatus::Healthy)
                .build(),
        ),
        (
            "middleware takes ",
            echo()
                .middleware_with_state(async |request: Request, next: Next, _: State<Named>| {
                    next.run(request).await
                })
                .build(),
        ),
        (
            "shutdown function 2 of the builder takes ",
            echo()
                .shutdown(async || ())
                .shutdown(async |_: State<Named>| ())
                .build(),
        ),
    ];
    for (function, app) in apps {
        let error = lifecycle_error(app);
        assert!(matches!(error, LifecycleError::NoState { .. }), "{error:?}");
        let text = error.to_string();
        let expected = format!("{function}`State<{}>`", std::any::type_name::<Named>());
        assert!(text.starts_with(&expected), "{text}");
    }
}

#[test]
fn two_states_of_the_same_type_are_an_error() {
    let unit = echo()
        .startup(async || Ok::<_, Infallible>(()))
        .startup(async || Ok::<_, Infallible>(()));
    assert!(unit.build().is_ok(), "functions that only check something");
    for app in [
        echo().state(1_u8).state(2_u8),
        echo()
            .state(1_u8)
            .startup(async || Ok::<_, Infallible>(2_u8)),
    ] {
        let text = lifecycle_error(app.build()).to_string();
        assert!(text.starts_with("two states of the type `u8`: "), "{text}");
    }
}

#[tokio::test]
async fn an_agent_does_not_listen_after_a_failed_startup() {
    let failing = || echo().startup(async || Err::<u8, _>("no disk".to_owned()));
    let panicking = || echo().startup(async || -> Result<u8, Infallible> { panic!("no luck") });
    for (app, reason) in [(failing(), "no disk"), (panicking(), "panic: no luck")] {
        let story = Story::default();
        let (skipped, end) = (story.clone(), story.clone());
        let app = app
            .startup(async move || {
                skipped.add("another");
                Ok::<_, Infallible>(1_u16)
            })
            .shutdown(async move || end.add("end"))
            .build()
            .expect("an app");
        let error = lifecycle_error(app.clone().bind().await);
        let expected = format!("the startup function of `u8` failed: {reason}");
        assert_eq!(error.to_string(), expected);
        // Neither of these starts runs a startup function again.
        let again = lifecycle_error(app.clone().start().await);
        assert!(matches!(again, LifecycleError::StartedBefore), "{again:?}");
        let agent = TestAgent::new(app);
        lifecycle_error(agent.start().await);
        agent.shut_down().await.expect("nothing to release");
        assert_eq!(story.events(), [""; 0]);
    }
}

#[test]
#[should_panic(expected = "call `app.start().await` instead")]
fn into_service_panics_for_an_app_with_startup_functions() {
    let app = echo().startup(async || Ok::<_, Infallible>(1)).build();
    app.expect("an app").into_service();
}

#[tokio::test]
async fn startup_functions_run_once_for_all_clones_of_an_app() {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let app = AgentRuntimeApp::builder()
        .entrypoint(async |_: Value, State(count): State<u8>| Json(*count))
        .startup(move || {
            let run = counted.fetch_add(1, Ordering::Relaxed);
            std::future::ready(u8::try_from(run))
        })
        .build()
        .expect("an app");
    let agents = [TestAgent::new(app.clone()), TestAgent::new(app.clone())];
    let (first, second) = tokio::join!(agents[0].invoke(&1), agents[1].invoke(&1));
    assert_eq!([first.value::<u8>().await, second.value().await], [0, 0]);
    app.start().await.expect("the app has started");
    assert_eq!(runs.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_state_can_be_replaced_before_the_start() {
    let app = || {
        AgentRuntimeApp::builder()
            .entrypoint(async |_: Value, name: State<Named>| Json(name.0.0))
            .startup(async || Err::<Named, _>("no disk"))
            .build()
            .expect("an app")
    };
    let replaced = app().with_state(Named("replaced")).expect("a state");
    let agent = TestAgent::new(replaced.clone());
    assert_eq!(agent.invoke(&1).await.value::<String>().await, "replaced");
    for (result, expected) in [
        (
            replaced.with_state(Named("again")),
            "which has a value already",
        ),
        (
            app().with_state(1_u8),
            "which no startup function of the agent builds",
        ),
    ] {
        let text = lifecycle_error(result).to_string();
        assert!(text.contains(expected), "{text}");
    }
}

/// An agent whose requests wait for permits of `gate`, and whose shutdown function adds to `story`.
fn gated(
    config: ppio::RuntimeConfig,
    gate: &Arc<Semaphore>,
    story: &Story,
) -> Result<AgentRuntimeApp, StartError> {
    let (request, task) = (story.clone(), story.clone());
    let end = story.clone();
    AgentRuntimeApp::builder()
        .config(config)
        .state(Arc::clone(gate))
        .entrypoint(move |_: Value, gate: State<Arc<Semaphore>>| {
            let (request, task) = (request.clone(), task.clone());
            async move {
                let work = State::clone(&gate);
                ppio::task::spawn("work", async move {
                    work.acquire().await.expect("an open gate").forget();
                    task.add("task");
                });
                gate.acquire().await.expect("an open gate").forget();
                request.add("request");
                Json(())
            }
        })
        .shutdown(async move |gate: State<Arc<Semaphore>>| {
            assert_eq!(gate.available_permits(), 0);
            // Releasing the state takes a moment.
            tokio::time::sleep(Duration::from_millis(50)).await;
            end.add("end");
        })
        .build()
}

async fn running(server: &TestServer) {
    with_timeout("a running invocation", async {
        while server.metric("background_tasks").await < 1 {}
    })
    .await;
}

#[tokio::test]
async fn shutdown_functions_run_after_requests_and_tasks() {
    let (gate, story) = (Arc::new(Semaphore::new(0)), Story::default());
    let mut server = TestServer::start(gated(config(), &gate, &story)).await;
    let mut busy = server.connect().await;
    busy.write(invocation("1")).await;
    running(&server).await;
    server.begin_shutdown();
    with_timeout("the end of listening", async {
        while tokio::net::TcpStream::connect(server.address).await.is_ok() {}
    })
    .await;
    assert_eq!(story.events(), [""; 0]);
    gate.add_permits(2);
    assert_eq!(busy.answer().await.status, 200);
    server.ended().await;
    let mut events = story.events();
    assert_eq!(events.pop(), Some("end"));
    events.sort_unstable();
    assert_eq!(events, ["request", "task"]);
}

#[tokio::test]
async fn shutdown_functions_run_after_the_grace() {
    let (gate, story) = (Arc::new(Semaphore::new(0)), Story::default());
    let config = config().shutdown_grace(Duration::ZERO);
    let mut server = TestServer::start(gated(config, &gate, &story)).await;
    let mut busy = server.connect().await;
    busy.write(invocation("1")).await;
    running(&server).await;
    server.begin_shutdown();
    busy.assert_closed().await;
    server.ended().await;
    assert_eq!(story.events(), ["end"]);
}

#[tokio::test]
async fn a_shutdown_function_does_not_outlive_the_grace() {
    let story = Story::default();
    let end = story.clone();
    let app = AgentRuntimeApp::builder()
        .config(config().shutdown_grace(Duration::ZERO))
        .entrypoint(async |request: Value| Json(request))
        .shutdown(async || std::future::pending::<()>().await)
        .shutdown(async move || end.add("end"))
        .build();
    let mut server = TestServer::start(app).await;
    assert_eq!(server.send(get("/ping")).await.status, 200);
    server.begin_shutdown();
    server.ended().await;
    assert_eq!(story.events(), ["end"]);
}

#[tokio::test]
async fn every_shutdown_function_runs_once_and_every_failure_is_reported() {
    let story = Story::default();
    let end = story.clone();
    let app = echo()
        .shutdown(async || Err::<(), _>("no disk"))
        .shutdown(async || -> () { panic!("no luck") })
        .shutdown(async move || end.add("end"))
        .build()
        .expect("an app");
    let service = app.start().await.expect("nothing to start");
    assert_eq!(
        lifecycle_error(service.shut_down().await).to_string(),
        "shutdown function 1 of the builder failed: no disk; \
         shutdown function 2 of the builder failed: panic: no luck"
    );
    service.shut_down().await.expect("nothing is left to run");
    assert_eq!(story.events(), ["end"]);
}

#[tokio::test]
async fn shutdown_functions_run_if_the_agent_cannot_listen() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("an address").port();
    let story = Story::default();
    let end = story.clone();
    let app = echo()
        .config(config().port(port))
        .shutdown(async move || end.add("end"))
        .build()
        .expect("an app");
    let error = app.bind().await.expect_err("a port in use");
    assert!(matches!(error, StartError::Bind { .. }), "{error:?}");
    assert_eq!(story.events(), ["end"]);
}
