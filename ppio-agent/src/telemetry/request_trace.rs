//! The span of a request, from its headers to the end of its response.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task;
use std::time::SystemTime;

use http::StatusCode;
use opentelemetry::trace::{SpanBuilder, SpanKind, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue};
use ppio_agent_protocol::ChatEvent;
use serde_json::json;

use super::chat_spans::{ChatSpans, Recorder, push_within};
use super::provider::{Telemetry, Traces, telemetry};
use super::{EndedInvocation, RequestHead, RequestKind};

/// The prefix of `text_delta` events, which are the most frequent and neither start nor end a span.
const TEXT_DELTA: &[u8] = br#"{"type":"text_delta","#;

/// The span of a request. Empty if there is no span and no caller's context to propagate.
#[derive(Clone, Default)]
pub(crate) struct RequestTrace(Option<Arc<TracedRequest>>);

struct TracedRequest {
    telemetry: &'static Telemetry,
    kind: RequestKind,
    /// The context of the span; `None` if neither this request nor its caller has a span.
    context: Option<Context>,
    is_recording: bool,
    started: SystemTime,
    /// Whether the invocation, rather than the response, ends the span.
    has_invocation: AtomicBool,
    answer: Mutex<AnswerContent>,
}

/// The spans that the items of the answer have begun, and the text of the answer.
#[derive(Default)]
struct AnswerContent {
    spans: ChatSpans,
    text: String,
}

impl RequestTrace {
    /// Starts the span of a request, as a child of the caller's span.
    #[inline]
    pub(crate) fn start(head: &RequestHead<'_>) -> Self {
        let request = telemetry().and_then(|telemetry| TracedRequest::start(telemetry, head));
        Self(request.map(Arc::new))
    }

    /// Starts the span of the invocation that a protocol request starts.
    #[cfg(feature = "chat")]
    pub(crate) fn invocation(&self) -> Self {
        self.map(|request| {
            let parent = request.context.clone().unwrap_or_default();
            let builder = SpanBuilder::from_name(request.telemetry.invocation)
                .with_kind(SpanKind::Internal)
                .with_attributes(request.telemetry.invocation_attributes());
            TracedRequest::of(request.telemetry, RequestKind::Invocation, &parent, builder)
        })
    }

    #[cfg(feature = "chat")]
    fn map(&self, make: impl FnOnce(&TracedRequest) -> TracedRequest) -> Self {
        Self(self.0.as_deref().map(|request| Arc::new(make(request))))
    }

    /// Returns the request, if its span is recorded.
    fn recorded(&self) -> Option<&TracedRequest> {
        self.0.as_deref().filter(|request| request.is_recording)
    }

    /// Whether an item of the answer, or its only value, has to be passed to [`item`](Self::item).
    #[inline]
    pub(crate) fn observes(&self, is_event: bool) -> bool {
        self.recorded()
            .is_some_and(|request| is_event || request.telemetry.captures_content)
    }

    /// Reads the JSON of an item of the answer, or of its only value.
    pub(crate) fn item(&self, json: &[u8], is_event: bool) {
        let Some(request) = self.recorded() else {
            return;
        };
        // Removes the space that marks a chat event.
        let json = json.trim_ascii_start();
        let captures = request.telemetry.captures_content;
        if is_event && json.starts_with(TEXT_DELTA) && !captures {
            return;
        }
        if !is_event {
            request.answer().add_text(json);
            return;
        }
        let Ok(event) = serde_json::from_slice::<ChatEvent>(json) else {
            return;
        };
        let mut answer = request.answer();
        match event {
            ChatEvent::TextDelta { text } if captures => push_within(&mut answer.text, &text),
            event => {
                if let Some(recorder) = request.recorder() {
                    answer.spans.event(event, &recorder);
                }
            }
        }
    }

    /// Records the invocation's id. From now on, the invocation ends the span, not the response.
    #[inline]
    pub(crate) fn begin_invocation(&self, request_id: &str) {
        if let Some(request) = self.0.as_deref() {
            request.has_invocation.store(true, Ordering::Relaxed);
            request.set(|| [KeyValue::new("ppio.request.id", request_id.to_owned())]);
        }
    }

    /// Records the session's id, and the request body if content is captured.
    #[inline]
    pub(crate) fn called(&self, session: impl FnOnce() -> Option<String>, body: &[u8]) {
        let Some(request) = self.recorded() else {
            return;
        };
        if let Some(session) = session() {
            request.set(|| {
                [
                    KeyValue::new("gen_ai.conversation.id", session.clone()),
                    KeyValue::new("session.id", session),
                ]
            });
        }
        if request.telemetry.captures_content {
            let mut text = String::new();
            push_within(&mut text, &String::from_utf8_lossy(body));
            let messages = messages("user", &text);
            request.set(|| [KeyValue::new("gen_ai.input.messages", messages)]);
        }
    }

    /// Records that the request was answered by a run that another request has started.
    pub(crate) fn joined(&self, run: &str) {
        if let Some(request) = self.recorded() {
            request.set(|| {
                [
                    KeyValue::new("ppio.request.id", run.to_owned()),
                    KeyValue::new("ppio.run.joined", true),
                ]
            });
        }
    }

    /// Ends the span of an invocation, and counts the invocation.
    #[inline]
    pub(crate) fn end_invocation(&self, end: &EndedInvocation<'_>) {
        if let Some(telemetry) = telemetry() {
            telemetry.end_invocation(end, self.recorded());
        }
    }

    /// Whether the span ends with the body of the response, as the span of a protocol request does.
    #[inline]
    pub(crate) fn ends_with_body(&self) -> bool {
        self.recorded().is_some_and(TracedRequest::is_protocol)
    }

    /// Ends the span of a request, unless an invocation ends it. `error` is the reason for an
    /// incomplete response.
    #[inline]
    pub(crate) fn end_response(&self, status: StatusCode, error: Option<&'static str>) {
        if let Some(request) = self.recorded()
            && !request.has_invocation.load(Ordering::Relaxed)
        {
            request.end_response(status, error);
        }
    }

    /// Returns a future that polls `future` in the context of the span.
    #[inline]
    pub(crate) fn scope<F: Future>(&self, future: F) -> InTrace<F> {
        let context = self.context();
        InTrace { future, context }
    }

    /// Runs a closure in the context of the span.
    #[inline]
    pub(crate) fn sync_scope<R>(&self, closure: impl FnOnce() -> R) -> R {
        let _guard = self.context().map(Context::attach);
        closure()
    }

    /// Returns the id of the trace, if the span is recorded.
    pub(crate) fn id(&self) -> Option<String> {
        let context = self.recorded()?.context.as_ref()?;
        Some(context.span().span_context().trace_id().to_string())
    }

    fn context(&self) -> Option<Context> {
        self.0.as_deref()?.context.clone()
    }
}

impl Telemetry {
    fn invocation_attributes(&self) -> Vec<KeyValue> {
        // The capacity is for attributes that are added later.
        let mut attributes = Vec::with_capacity(16);
        attributes.push(KeyValue::new("gen_ai.operation.name", "invoke_agent"));
        attributes.push(KeyValue::new("gen_ai.agent.name", self.agent));
        attributes
    }

    /// Ends the span of an invocation, and counts the invocation, unless it is a request of the
    /// author's routes.
    fn end_invocation(&self, end: &EndedInvocation<'_>, recorded: Option<&TracedRequest>) {
        let error = match (end.status, end.error_type) {
            (None, _) => Some("cancelled"),
            (Some(_), Some(error)) => Some(error),
            (Some(status), None) if end.is_failure => Some(status_type(status)),
            (Some(_), None) => None,
        };
        if let Some(metrics) = &self.metrics
            && !end.is_route
        {
            metrics.ended(end.duration, error);
            metrics.tokens(end.tokens);
        }
        if let Some(request) = recorded {
            request.end_invocation(end, error);
        }
    }
}

impl TracedRequest {
    fn start(telemetry: &'static Telemetry, head: &RequestHead<'_>) -> Option<Self> {
        let caller = telemetry.propagators.extract(head.headers);
        let traces = telemetry.traces.as_ref();
        if traces.is_none_or(|traces| traces.queue.is_full()) {
            if let Some(traces) = traces {
                traces.queue.count_dropped();
            }
            return caller
                .has_active_span()
                .then(|| Self::unrecorded(telemetry, head.kind, Some(caller)));
        }
        let (name, mut attributes) = match head.kind {
            RequestKind::Invocation => (
                telemetry.invocation.into(),
                telemetry.invocation_attributes(),
            ),
            #[cfg(feature = "websocket")]
            RequestKind::WebSocket => (
                telemetry.invocation.into(),
                telemetry.invocation_attributes(),
            ),
            RequestKind::Protocol(protocol) => {
                let name = format!("{} {protocol}", head.method);
                (name.into(), vec![KeyValue::new("ppio.protocol", protocol)])
            }
            RequestKind::Route => (head.method.as_str().to_owned().into(), Vec::new()),
        };
        attributes.push(KeyValue::new(
            "http.request.method",
            head.method.as_str().to_owned(),
        ));
        attributes.push(KeyValue::new("url.path", head.path.to_owned()));
        let builder = SpanBuilder {
            name,
            ..SpanBuilder::default()
        };
        let builder = builder
            .with_kind(SpanKind::Server)
            .with_attributes(attributes);
        Some(Self::of(telemetry, head.kind, &caller, builder))
    }

    /// Starts a span.
    fn of(
        telemetry: &'static Telemetry,
        kind: RequestKind,
        parent: &Context,
        builder: SpanBuilder,
    ) -> Self {
        let Some(traces) = &telemetry.traces else {
            return Self::unrecorded(telemetry, kind, None);
        };
        let started = opentelemetry::time::now();
        let span = traces
            .tracer
            .build_with_context(builder.with_start_time(started), parent);
        let context = parent.with_span(span);
        Self {
            is_recording: context.span().is_recording(),
            started,
            ..Self::unrecorded(telemetry, kind, Some(context))
        }
    }

    fn unrecorded(
        telemetry: &'static Telemetry,
        kind: RequestKind,
        context: Option<Context>,
    ) -> Self {
        Self {
            telemetry,
            kind,
            context,
            is_recording: false,
            started: SystemTime::UNIX_EPOCH,
            has_invocation: AtomicBool::new(false),
            answer: Mutex::default(),
        }
    }

    fn answer(&self) -> MutexGuard<'_, AnswerContent> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn recorder(&self) -> Option<Recorder<'_>> {
        let Traces { tracer, .. } = self.telemetry.traces.as_ref()?;
        Some(Recorder {
            tracer,
            invocation: self.context.as_ref().filter(|_| self.is_recording)?,
            started: self.started,
            captures_content: self.telemetry.captures_content,
        })
    }

    /// Sets attributes of a recorded span.
    fn set<const N: usize>(&self, attributes: impl FnOnce() -> [KeyValue; N]) {
        if let Some(context) = self.context.as_ref().filter(|_| self.is_recording) {
            context.span().set_attributes(attributes());
        }
    }

    /// Ends the span of an invocation. `error` is the type of its error.
    fn end_invocation(&self, end: &EndedInvocation<'_>, error: Option<&str>) {
        let Some(recorder) = self.recorder() else {
            return;
        };
        let mut answer = self.answer();
        let mut attributes = answer.spans.end(&recorder, error);
        if let Some(status) = end.status {
            let status = i64::from(status);
            attributes.push(KeyValue::new("http.response.status_code", status));
        }
        if end.items > 0 {
            let items = i64::try_from(end.items).unwrap_or(i64::MAX);
            attributes.push(KeyValue::new("ppio.stream.items", items));
        }
        if let Some(error) = error {
            attributes.push(KeyValue::new("error.type", error.to_owned()));
        }
        if !answer.text.is_empty() {
            let output = messages("assistant", &answer.text);
            attributes.push(KeyValue::new("gen_ai.output.messages", output));
        }
        let span = recorder.invocation.span();
        span.set_attributes(attributes);
        if end.is_failure {
            span.set_status(Status::error(""));
        }
        span.end();
    }

    fn is_protocol(&self) -> bool {
        matches!(self.kind, RequestKind::Protocol(_))
    }

    fn end_response(&self, status: StatusCode, error: Option<&'static str>) {
        let Some(context) = &self.context else {
            return;
        };
        let span = context.span();
        let code = status.as_u16();
        span.set_attribute(KeyValue::new("http.response.status_code", i64::from(code)));
        let is_failure = status.is_server_error();
        if let Some(error) = error.or(is_failure.then(|| status_type(code))) {
            span.set_attribute(KeyValue::new("error.type", error));
        }
        if is_failure || error == Some("failed") {
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

/// Returns the attribute `error.type` for a status.
fn status_type(status: u16) -> &'static str {
    match status {
        500 => "500",
        501 => "501",
        502 => "502",
        503 => "503",
        504 => "504",
        _ => "_OTHER",
    }
}

impl AnswerContent {
    /// Adds an item or a value: the text of a string, otherwise its JSON.
    fn add_text(&mut self, json: &[u8]) {
        match serde_json::from_slice::<String>(json) {
            Ok(text) => push_within(&mut self.text, &text),
            Err(_) => push_within(&mut self.text, &String::from_utf8_lossy(json)),
        }
    }
}

/// Returns a list of one message, in the format of the `GenAI` conventions of `OpenTelemetry`.
fn messages(role: &str, text: &str) -> String {
    json!([{"role": role, "parts": [{"type": "text", "content": text}]}]).to_string()
}

pin_project_lite::pin_project! {
    /// A future that is polled in the context of a span.
    pub(crate) struct InTrace<F> {
        #[pin]
        future: F,
        context: Option<Context>,
    }
}

impl<F: Future> Future for InTrace<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> task::Poll<F::Output> {
        let this = self.project();
        let _guard = this.context.clone().map(Context::attach);
        this.future.poll(cx)
    }
}
