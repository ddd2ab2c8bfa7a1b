//! Streams that are cut anywhere and resumed deliver every item exactly once.

use ppio::{Value, json};

use super::support::{Event, Scripted, end, items, parse};
use crate::support::{Connection, config, get, with_timeout};

/// A reader that loses its connections, and resumes after the last complete event.
struct Reader {
    path: String,
    events: Vec<Event>,
}

impl Reader {
    fn new(id: &str) -> Self {
        Self {
            path: format!("/invocations/{id}/events"),
            events: Vec::new(),
        }
    }

    fn is_done(&self) -> bool {
        matches!(self.events.last(), Some(Event::End(_)))
    }

    fn last_id(&self) -> u64 {
        self.events
            .iter()
            .rev()
            .find_map(|event| match event {
                Event::Item(id, _) => Some(*id),
                Event::End(_) => None,
            })
            .unwrap_or(0)
    }

    /// Connects and reads at most this many bytes of the stream.
    async fn read(&mut self, agent: &Scripted, bytes: usize) {
        let mut connection = Connection::open(agent.server.address).await;
        let path = format!("{}?last_event_id={}", self.path, self.last_id());
        connection.write(get(&path)).await;
        assert_eq!(connection.head().await.status, 200);
        let mut read = Vec::new();
        while read.len() < bytes {
            match connection.chunk().await {
                Some(chunk) => read.extend(chunk),
                None => break,
            }
        }
        read.truncate(bytes);
        // A cut may be inside a character.
        let text = String::from_utf8_lossy(&read);
        self.events.extend(parse(&text));
    }
}

#[tokio::test]
async fn a_stream_that_is_cut_at_any_byte_is_resumed_without_a_gap() {
    let agent = Scripted::start(config()).await;
    let id = agent.detach(r#"{"stream": true}"#).await;
    let started = agent.started().await;
    let texts = [
        "",
        "é",
        "\u{2028}",
        "two\n\nlines",
        "id: 9",
        &"x".repeat(300),
    ];
    let texts: Vec<Value> = texts.map(Value::from).to_vec();
    for text in &texts {
        started.item(text.clone());
    }
    started.end();
    agent.has_status(&id, "success").await;
    let expected = [items(1, texts), vec![end("success", 6)]].concat();
    let mut whole = Reader::new(&id);
    whole.read(&agent, usize::MAX).await;
    assert_eq!(whole.events, expected);
    // The whole stream with ids is shorter than 600 bytes.
    for cut in 0..600 {
        let mut reader = Reader::new(&id);
        reader.read(&agent, cut).await;
        if !reader.is_done() {
            reader.read(&agent, usize::MAX).await;
        }
        assert_eq!(reader.events, expected, "cut at {cut}");
    }
}

#[tokio::test]
async fn readers_of_a_running_stream_are_cut_at_random() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let agent = std::sync::Arc::new(Scripted::start(config()).await);
    let id = agent.detach(r#"{"stream": true}"#).await;
    let started = agent.started().await;
    let count = 400;
    let texts: Vec<Value> = (0..count)
        .map(|number| json!({ "number": number, "text": "x".repeat(random.usize(0..400)) }))
        .collect();
    let expected = [items(1, texts.clone()), vec![end("success", count)]].concat();
    // Three readers: one is cut after fewer than 600 bytes, one after fewer than 6000 bytes, and
    // one keeps its connection.
    let mut tasks = tokio::task::JoinSet::new();
    for longest in [600, 6000, usize::MAX] {
        let (agent, mut reader) = (std::sync::Arc::clone(&agent), Reader::new(&id));
        let mut random = random.fork();
        tasks.spawn(async move {
            let mut cuts = 0;
            while !reader.is_done() {
                let bytes = match longest {
                    usize::MAX => longest,
                    longest => random.usize(1..longest),
                };
                reader.read(&agent, bytes).await;
                cuts += 1;
            }
            (reader.events, cuts)
        });
    }
    for text in texts {
        started.item(text);
        if random.u8(..) < 100 {
            tokio::task::yield_now().await;
        }
    }
    started.end();
    let mut cuts = 0;
    while let Some(read) = with_timeout("a reader", tasks.join_next()).await {
        let (events, cut) = read.expect("no panic");
        assert_eq!(events, expected, "seed {seed}");
        cuts += cut;
    }
    assert!(cuts > 100, "{cuts} cuts, seed {seed}");
}
