//! An invocation is dropped at every await point, and anything it leaves behind is reported.

use std::future::{pending, poll_fn};
use std::panic::catch_unwind;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use ppio::testing::{
    CancellationError, CancellationReport, TestAgent, await_point, cancel_at_every_await, drain,
};
use ppio::{AgentRuntimeApp, BoxError, Json, RequestContext, Sse, State, Stream, Value, json};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Mutex as AsyncMutex;
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, sleep, timeout};

use crate::support::config;

/// A counter of the work in progress, which some invocations do not restore when they are dropped.
#[derive(Default)]
struct Counter(AtomicUsize);

impl Counter {
    fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn remove(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    fn value(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

struct Counted<'a>(&'a Counter);

impl<'a> Counted<'a> {
    fn new(counter: &'a Counter) -> Self {
        counter.add();
        Self(counter)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.remove();
    }
}

/// The line of the second await point of `flawed`.
const FLAWED_LINE: u32 = line!() + 6;

async fn flawed(counter: &Counter) {
    yield_now().await;
    counter.add();
    // The await point at which the counter is wrong.
    yield_now().await;
    counter.remove();
    yield_now().await;
}

async fn correct(counter: &Counter) {
    yield_now().await;
    let _counted = Counted::new(counter);
    yield_now().await;
    yield_now().await;
}

/// The numbers of the await points at which something was left behind.
fn bad(report: &CancellationReport) -> Vec<usize> {
    let left = report.left_behind().iter();
    left.map(ppio::testing::LeftBehind::await_point).collect()
}

fn paused() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime")
}

/// A timeout that is short enough for a test to wait for.
const SHORT: Duration = Duration::from_millis(50);

#[test]
fn an_await_point_that_leaves_a_changed_state_is_reported() {
    let counter = Counter::default();
    let report = cancel_at_every_await(async || flawed(&counter).await)
        .unchanged(async || counter.value())
        .run()
        .unwrap();
    assert_eq!((report.await_points(), report.tried()), (3, 3));
    assert_eq!(bad(&report), [2]);
    let left = &report.left_behind()[0];
    assert_eq!(left.what(), ["the state was 0 and is 1"]);
    let line = left.line().expect("a line");
    assert_eq!(line.file(), "tests/runtime/cancel_at_every_await.rs");
    assert_eq!(line.line(), FLAWED_LINE);
    assert_eq!(
        report.to_string(),
        format!(
            "an invocation leaves something behind when it is dropped at 1 of 3 await \
             points\n  await point 2 (tests/runtime/cancel_at_every_await.rs:{FLAWED_LINE}): the \
             state was 0 and is 1"
        )
    );
    let panic = catch_unwind(|| report.assert_clean()).unwrap_err();
    let text = panic.downcast::<String>().unwrap();
    assert_eq!(*text, report.to_string());
}

#[test]
fn a_correct_invocation_leaves_nothing_behind() {
    let counter = Counter::default();
    let report = cancel_at_every_await(|| correct(&counter))
        .unchanged(async || counter.value())
        .check(async || assert_eq!(counter.value(), 0))
        .run()
        .unwrap();
    assert_eq!((report.await_points(), report.tried()), (3, 3));
    report.assert_clean();
    // This invocation has no await point.
    let report = cancel_at_every_await(async || counter.value())
        .run()
        .unwrap();
    assert_eq!(report.await_points(), 0);
    report.assert_clean();
}

#[test]
fn a_failed_assertion_is_reported_with_its_text() {
    let counter = Counter::default();
    let report = cancel_at_every_await(|| flawed(&counter))
        .before(async || counter.0.store(0, Ordering::Relaxed))
        .check(async || {
            yield_now().await;
            assert_eq!(counter.value(), 0, "open tickets");
        })
        .run()
        .unwrap();
    assert_eq!(bad(&report), [2]);
    let text = report.to_string();
    assert!(text.contains("open tickets"), "{text}");
    assert!(text.contains("left: 1"), "{text}");
}

/// The line of every kind of await point is reported.
#[test]
fn the_line_of_every_kind_of_await_is_reported() {
    async fn leaves(lines: &Mutex<Vec<u32>>) {
        let here = |line: u32| lines.lock().unwrap().push(line);
        here(line!() + 1);
        sleep(Duration::from_secs(3)).await;
        let slow = timeout(Duration::from_secs(5), sleep(Duration::from_secs(1)));
        here(line!() + 1);
        slow.await.unwrap();
        here(line!() + 1);
        tokio::spawn(yield_now()).await.unwrap();
        let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
        let send = tokio::spawn(async move {
            sleep(Duration::from_millis(1)).await;
            sender.send(1).await
        });
        here(line!() + 1);
        receiver.recv().await;
        send.await.unwrap().unwrap();
        here(line!() + 1);
        await_point().await;
        let slow = [sleep(Duration::from_secs(1)), sleep(Duration::from_secs(2))];
        let [first, second] = slow;
        here(line!() + 1);
        tokio::join!(first, second);
    }
    let lines = Mutex::new(Vec::new());
    let report = cancel_at_every_await(|| leaves(&lines))
        .before(async || lines.lock().unwrap().clear())
        // Every await point is reported.
        .check(async || panic!("here"))
        .tasks_may_outlive()
        .runtime(paused())
        .run()
        .unwrap();
    let expected = lines.into_inner().unwrap();
    let mut found: Vec<u32> = report
        .left_behind()
        .iter()
        .filter_map(|left| {
            let line = left.line()?;
            line.file()
                .ends_with("cancel_at_every_await.rs")
                .then(|| line.line())
        })
        .collect();
    assert_eq!(found.len(), report.await_points(), "{report}");
    found.dedup();
    // `send` may need an await point of its own, and the second `sleep` has one.
    found.retain(|line| expected.contains(line));
    assert_eq!(found, expected, "{report}");
}

#[test]
fn a_spawned_task_that_still_runs_is_reported() {
    struct Case {
        abort: bool,
        grace: Duration,
        bad: &'static [usize],
    }
    for case in [
        Case {
            abort: false,
            grace: Duration::ZERO,
            bad: &[2, 3],
        },
        Case {
            abort: false,
            grace: Duration::from_secs(30),
            bad: &[],
        },
        Case {
            abort: true,
            grace: Duration::ZERO,
            bad: &[],
        },
    ] {
        let report = cancel_at_every_await(async || {
            yield_now().await;
            let mut tasks = JoinSet::new();
            tasks.spawn(sleep(Duration::from_secs(20)));
            if !case.abort {
                tasks.detach_all();
            }
            yield_now().await;
            yield_now().await;
        })
        // After this pause, the task of the previous invocation has ended.
        .before(async || sleep(Duration::from_secs(60)).await)
        .task_grace(case.grace)
        .runtime(paused())
        .run()
        .unwrap();
        assert_eq!(bad(&report), case.bad, "{report}");
        for left in report.left_behind() {
            let expected = ["1 spawned task still runs, spawned before await point 2"];
            assert_eq!(left.what(), expected);
        }
    }
}

#[test]
fn sleeps_take_no_real_time_with_a_paused_clock() {
    let counter = Counter::default();
    let started = Mutex::new(None);
    let report = cancel_at_every_await(async || {
        started.lock().unwrap().get_or_insert_with(Instant::now);
        let _counted = Counted::new(&counter);
        for _ in 0..10 {
            sleep(Duration::from_secs(3600)).await;
        }
    })
    .unchanged(async || counter.value())
    .check(async || {
        let started = started.lock().unwrap().unwrap();
        assert!(started.elapsed() >= Duration::from_secs(20 * 3600));
    })
    .runtime(paused())
    .run()
    .unwrap();
    assert_eq!(report.await_points(), 10);
    report.assert_clean();
}

#[test]
fn a_stream_is_dropped_at_each_item_and_between_the_items() {
    fn items(counter: &Counter) -> impl Stream<Item = u32> {
        ppio::stream! {
            for item in 0..3 {
                counter.add();
                yield item;
                counter.remove();
                yield_now().await;
            }
        }
    }
    let counter = Counter::default();
    let report = cancel_at_every_await(async || drain(items(&counter)).await)
        .unchanged(async || counter.value())
        .run()
        .unwrap();
    assert_eq!(report.await_points(), 6);
    assert_eq!(bad(&report), [1, 3, 5], "{report}");
}

/// Returns an agent whose invocation holds a ticket at its second await point, and the tickets.
fn tickets(is_guarded: bool) -> (TestAgent, Arc<Counter>) {
    let tickets = Arc::new(Counter::default());
    let state = Arc::clone(&tickets);
    let app = AgentRuntimeApp::builder()
        .startup(async move || {
            yield_now().await;
            Ok::<_, BoxError>(state)
        })
        .entrypoint(
            move |_: Value, tickets: State<Arc<Counter>>, context: RequestContext| async move {
                sleep(Duration::from_millis(1)).await;
                let ticket = Counted::new(&tickets);
                if is_guarded {
                    yield_now().await;
                } else {
                    std::mem::forget(ticket);
                    // TICKET
                    sleep(Duration::from_millis(1)).await;
                    tickets.remove();
                }
                assert!(!context.is_cancelled());
                "done"
            },
        );
    let app = app.config(config()).build().expect("an app");
    (TestAgent::new(app), tickets)
}

#[test]
fn a_whole_invocation_of_an_agent_with_a_state_is_tested() {
    for is_guarded in [true, false] {
        let (agent, tickets) = tickets(is_guarded);
        let report = cancel_at_every_await(async || {
            let reply = agent.invoke(&json!({})).await;
            assert_eq!(reply.value::<String>().await, "done");
        })
        .before(async || agent.start().await.expect("a start"))
        .unchanged(async || tickets.value())
        .leaves_idle(&agent)
        .run()
        .unwrap();
        assert_eq!(report.await_points(), 2);
        assert_eq!(report.tried(), 2);
        if is_guarded {
            report.assert_clean();
            continue;
        }
        assert_eq!(bad(&report), [2], "{report}");
        let source = include_str!("cancel_at_every_await.rs");
        // The reported line is the one below the marker, although the agent has timers around the
        // handler.
        let marker = source.lines().position(|line| line.trim() == "// TICKET");
        let line = report.left_behind()[0].line().expect("a line");
        assert_eq!(line.file(), "tests/runtime/cancel_at_every_await.rs");
        let line = usize::try_from(line.line()).expect("a line");
        assert_eq!(line, marker.expect("a marker") + 2, "{report}");
    }
}

#[test]
fn a_streaming_invocation_is_dropped_between_its_items() {
    fn items(open: Arc<Counter>) -> impl Stream<Item = Result<u32, BoxError>> {
        ppio::try_stream! {
            open.add();
            yield 1;
            yield_now().await;
            yield_now().await;
            yield_now().await;
            open.remove();
            yield 2;
            yield_now().await;
            yield 3;
        }
    }
    let open = Arc::new(Counter::default());
    let opened = Arc::clone(&open);
    let app = AgentRuntimeApp::builder()
        .entrypoint(move |_: Value| {
            let open = Arc::clone(&opened);
            async move { Sse(items(open)) }
        })
        .config(config())
        .build()
        .expect("an app");
    let agent = TestAgent::new(app);
    let items = Mutex::new(Vec::new());
    let report = cancel_at_every_await(async || {
        let mut reply = agent.invoke(&json!({})).await;
        while let Some(item) = reply.next_item::<u32>().await {
            items.lock().unwrap().push(item);
            await_point().await;
        }
    })
    .unchanged(async || open.value())
    .before(async || items.lock().unwrap().clear())
    .check(async || assert!([1, 2, 3].starts_with(&items.lock().unwrap())))
    .leaves_idle(&agent)
    .run()
    .unwrap();
    // One await point after each item, and one at the third `yield_now`: the first two are over
    // with the first item.
    assert_eq!(report.await_points(), 4, "{report}");
    assert_eq!(bad(&report), [1, 2], "{report}");
}

#[test]
fn an_agent_that_stays_busy_is_reported_with_the_name_of_its_task() {
    let app = AgentRuntimeApp::builder()
        .entrypoint(async |_: Value| {
            sleep(Duration::from_millis(1)).await;
            ppio::task::spawn("index", pending::<()>());
            yield_now().await;
            Json("done")
        })
        .config(config())
        .build()
        .expect("an app");
    let agent = TestAgent::new(app);
    let report = cancel_at_every_await(async || agent.invoke(&json!({})).await)
        .tasks_may_outlive()
        .leaves_idle(&agent)
        .run()
        .unwrap();
    // The task of the first invocation, which was not dropped, still runs.
    let first = &report.left_behind()[0];
    assert_eq!(first.await_point(), 1);
    let task = "the background task \"index\" still runs";
    assert_eq!(first.what(), [task, task]);
}

#[test]
fn a_lock_that_is_never_released_is_reported() {
    let lock = AsyncMutex::new(());
    let run = |checks: bool| {
        let test = cancel_at_every_await(async || {
            yield_now().await;
            // A cancellation does not release the lock, since the guard is then not dropped.
            let guard = lock.lock().await;
            let guard = std::mem::ManuallyDrop::new(guard);
            yield_now().await;
            drop(std::mem::ManuallyDrop::into_inner(guard));
            yield_now().await;
        });
        let test = test.stuck_after(SHORT);
        if checks {
            test.check(async || drop(lock.lock().await)).run()
        } else {
            test.run()
        }
    };
    // The check waits for the lock.
    let report = run(true).unwrap();
    assert_eq!((bad(&report), report.tried()), (vec![2], 2), "{report}");
    let text = report.to_string();
    assert!(
        text.contains(
            "a closure of the test waits for more than 50ms at its await point 1 (tests/"
        ),
        "{text}"
    );
    assert!(
        text.ends_with("\n  await points 3 to 3 were not tried"),
        "{text}"
    );
    // From now on the lock is held.
    let error = run(false).unwrap_err();
    assert!(
        matches!(error, CancellationError::Stuck { await_point: 2, .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("cancel_at_every_await.rs:"),
        "{error}"
    );

    let lock = AsyncMutex::new(());
    let report = cancel_at_every_await(async || {
        let guard = std::mem::ManuallyDrop::new(lock.lock().await);
        yield_now().await;
        drop(std::mem::ManuallyDrop::into_inner(guard));
    })
    .stuck_after(SHORT)
    .run()
    .unwrap();
    assert_eq!(bad(&report), [1]);
    let text = report.to_string();
    assert!(
        text.contains(": the next invocation waits for more than 50ms"),
        "{text}"
    );
}

#[test]
fn panics_caused_by_a_cancellation_are_reported() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            assert!(std::thread::panicking(), "not defused");
        }
    }
    let report = cancel_at_every_await(async || {
        yield_now().await;
        let bomb = Bomb;
        yield_now().await;
        std::mem::forget(bomb);
        yield_now().await;
    })
    .run()
    .unwrap();
    assert_eq!(bad(&report), [2]);
    let expected = ["dropping the invocation panicked: not defused"];
    assert_eq!(report.left_behind()[0].what(), expected);

    let is_used = AtomicBool::new(false);
    let report = cancel_at_every_await(async || {
        assert!(!is_used.swap(true, Ordering::Relaxed), "in use");
        yield_now().await;
        is_used.store(false, Ordering::Relaxed);
    })
    .run()
    .unwrap();
    assert_eq!(bad(&report), [1]);
    let expected = ["the next invocation or a closure of the test panicked: in use"];
    assert_eq!(report.left_behind()[0].what(), expected);

    let panic = catch_unwind(|| cancel_at_every_await(async || panic!("always")).run());
    assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"always"));
}

#[test]
fn an_invocation_that_cannot_be_tested_is_an_error() {
    let runs = AtomicUsize::new(0);
    let run = || runs.fetch_add(1, Ordering::Relaxed);
    let points = async |count: usize| {
        for _ in 0..count {
            yield_now().await;
        }
    };
    let start = |paths: &'static [usize]| {
        runs.store(0, Ordering::Relaxed);
        cancel_at_every_await(async || points(paths[run() % paths.len()]).await).run()
    };
    // The same number of await points each time; a number that differs once, as when a thread was
    // slow; a cache that the first run fills; a different path in every second run.
    assert_eq!(start(&[5]).unwrap().await_points(), 5);
    assert_eq!(start(&[5, 4, 5, 5]).unwrap().await_points(), 5);
    for paths in [&[5, 3, 3, 3, 3, 3, 3, 3][..], &[5, 3], &[3, 5]] {
        let error = start(paths).unwrap_err();
        let CancellationError::NotDeterministic { expected, found } = error else {
            panic!("{error}");
        };
        assert_eq!([expected, found], paths[..2]);
    }
    // A later run takes a shorter path.
    let error = start(&[5, 5, 5, 5, 1, 1, 1, 1, 1, 1, 1, 1, 1]).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("polled 5 times, but 1 times in a later run"),
        "{text}"
    );

    let error = cancel_at_every_await(async || points(4).await)
        .max_await_points(3)
        .run();
    let error = error.unwrap_err().to_string();
    assert!(
        error.starts_with("the invocation has more than 3 await points; "),
        "{error}"
    );
    let report = cancel_at_every_await(async || points(3).await)
        .max_await_points(3)
        .run();
    assert_eq!(report.unwrap().await_points(), 3);
    let endless = cancel_at_every_await(async || points(usize::MAX).await).run();
    assert!(matches!(
        endless,
        Err(CancellationError::TooManyAwaitPoints { limit: 1_000 })
    ));

    let error = cancel_at_every_await(pending::<()>)
        .stuck_after(SHORT)
        .run()
        .unwrap_err();
    let expected = "the test waits for more than 50ms at await point 1; ";
    assert!(error.to_string().starts_with(expected), "{error}");

    let threads = Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    let error = cancel_at_every_await(async || ()).runtime(threads).run();
    assert!(matches!(error, Err(CancellationError::MultiThread)));
    let inside = paused().block_on(async { cancel_at_every_await(async || ()).run() });
    assert!(matches!(inside, Err(CancellationError::InsideRuntime)));
}

/// One future is woken by another thread; another one is polled with one waker and ready with
/// another.
#[test]
fn wakes_from_another_thread_are_handled() {
    let report = cancel_at_every_await(async || {
        let mut state = (false, None);
        poll_fn(|cx| {
            if !state.0 {
                state.0 = true;
                let waker = cx.waker().clone();
                state.1 = Some(std::thread::spawn(move || waker.wake()));
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
        state.1.unwrap().join().unwrap();
        let mut inner = pin!(yield_now());
        poll_fn(|cx| inner.as_mut().poll(cx)).await;
    })
    .run()
    .unwrap();
    assert_eq!(report.await_points(), 2);
    report.assert_clean();
}

/// An invocation with more await points than the default limit.
#[test]
fn a_thousand_await_points_are_tested() {
    let counter = Counter::default();
    let report = cancel_at_every_await(async || {
        for _ in 0..999 {
            yield_now().await;
        }
        flawed(&counter).await;
    })
    .max_await_points(1_002)
    .unchanged(async || counter.value())
    .run()
    .unwrap();
    assert_eq!(report.await_points(), 1_002);
    assert_eq!(bad(&report), [1_001]);
}
