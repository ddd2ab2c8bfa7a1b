//! An HTTP response, and the response that a test expects.

use ppio::Value;

/// A response as it was received.
#[derive(Debug)]
pub(crate) struct HttpResponse {
    pub(crate) status: u16,
    /// The status line and the header lines, in lower case.
    head: String,
    pub(crate) body: String,
}

/// The response that an agent should send.
#[derive(Debug)]
pub(crate) enum Expected {
    Value(Value),
    Items(Vec<Value>),
    /// The items, and the text of the error item after them.
    ItemsThenError(Vec<Value>, &'static str),
    /// The status, the error type and the text.
    Error(u16, &'static str, &'static str),
    /// The body of a response made by [`teapot`].
    Text(String),
}

impl HttpResponse {
    pub(crate) fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).and_then(|it| it.parse().ok());
        Self {
            status: status.expect("a status"),
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }

    /// Whether the response has this header line.
    pub(crate) fn has(&self, header: &str) -> bool {
        self.head.lines().any(|line| line == header)
    }

    /// Returns the values of a header, in order.
    pub(crate) fn values<'a>(&'a self, header: &'a str) -> impl Iterator<Item = &'a str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.filter_map(move |(name, value)| (name == header).then_some(value))
    }

    pub(crate) fn json(&self) -> Value {
        self.body
            .parse()
            .unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Returns the items of an event stream.
    fn items(&self) -> Vec<Value> {
        let events = self.body.split_terminator("\n\n");
        let data = events.map(|event| event.strip_prefix("data: ").expect("one line of data"));
        data.map(|data| data.parse().expect("JSON")).collect()
    }

    #[track_caller]
    pub(crate) fn assert(&self, expected: &Expected) {
        match expected {
            Expected::Value(value) => {
                assert_eq!(self.status, 200, "{self:?}");
                assert!(self.has("content-type: application/json"), "{self:?}");
                assert_eq!(self.json()["status"], "success");
                assert_eq!(&self.json()["result"], value);
            }
            Expected::Items(items) => {
                assert_eq!(self.status, 200, "{self:?}");
                assert!(
                    self.has("content-type: text/event-stream; charset=utf-8"),
                    "{self:?}"
                );
                assert_eq!(&self.items(), items);
            }
            Expected::ItemsThenError(items, text) => {
                assert_eq!(self.status, 200, "{self:?}");
                let mut all = self.items();
                let error = all.pop().expect("at least an error item");
                assert_eq!(&error["error"], text);
                assert_eq!(&all, items);
            }
            Expected::Error(status, error_type, text) => {
                assert_eq!(self.status, *status, "{self:?}");
                assert_eq!(self.json()["status"], "error");
                assert_eq!(&self.json()["error_type"], error_type);
                assert_eq!(&self.json()["error"], text);
            }
            Expected::Text(text) => {
                assert_eq!(self.status, 418, "{self:?}");
                assert!(self.has("x-made-by: teapot"), "{self:?}");
                assert_eq!(&self.body, text);
            }
        }
    }
}

/// Returns a response that the runtime itself never sends.
pub(crate) fn teapot(text: String) -> ppio::Response {
    let mut response = ppio::Response::new(text.into());
    *response.status_mut() = hyper::StatusCode::IM_A_TEAPOT;
    let value = hyper::header::HeaderValue::from_static("teapot");
    response.headers_mut().insert("x-made-by", value);
    response
}
