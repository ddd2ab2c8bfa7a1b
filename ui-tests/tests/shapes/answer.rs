//! What an agent answers, and what it should.

use ppio::Value;

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).and_then(|it| it.parse().ok());
        Self {
            status: status.expect("a status"),
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }

    pub(crate) fn has(&self, header: &str) -> bool {
        self.head.lines().any(|line| line == header)
    }

    /// The values of a header, in order.
    pub(crate) fn values<'a>(&'a self, header: &'a str) -> impl Iterator<Item = &'a str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.filter_map(move |(name, value)| (name == header).then_some(value))
    }

    pub(crate) fn json(&self) -> Value {
        self.body
            .parse()
            .unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    fn items(&self) -> Vec<Value> {
        let events = self.body.split_terminator("\n\n");
        let data = events.map(|event| event.strip_prefix("data: ").expect("one line of data"));
        data.map(|data| data.parse().expect("JSON")).collect()
    }

    /// Compares with what the shape should give.
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
                assert!(self.has("content-type: text/event-stream"), "{self:?}");
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
                assert!(self.has("x-shape: response"), "{self:?}");
                assert_eq!(&self.body, text);
            }
        }
    }
}

/// The answer that a shape should give.
#[derive(Debug)]
pub(crate) enum Expected {
    Value(Value),
    Items(Vec<Value>),
    ItemsThenError(Vec<Value>, &'static str),
    /// Its status, type and text.
    Error(u16, &'static str, &'static str),
    /// The body of a response made by [`teapot`].
    Text(String),
}

/// A response that no other code would make.
pub(crate) fn teapot(text: String) -> ppio::Response {
    let mut response = ppio::Response::new(text.into());
    *response.status_mut() = hyper::StatusCode::IM_A_TEAPOT;
    let value = hyper::header::HeaderValue::from_static("response");
    response.headers_mut().insert("x-shape", value);
    response
}
