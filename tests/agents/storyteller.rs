//! An agent for the playground, whose request has a field of every kind. It streams its prompt word
//! by word, and reports on standard error when a caller disconnects before the end.

use std::time::Duration;

use futures_util::{Stream, StreamExt as _, stream};

#[derive(serde::Deserialize)]
struct Story {
    /// The text of the story.
    prompt: String,
    /// How often the text is repeated.
    times: Option<u8>,
    /// The pause before each word, in milliseconds.
    #[serde(default)]
    pause: u64,
    #[serde(default)]
    style: Style,
    /// Told in capital letters.
    loud: bool,
    /// Where the story breaks off with an error.
    fail_at: Option<usize>,
    author: Option<Author>,
    #[serde(default)]
    tags: Vec<String>,
}

#[derive(serde::Deserialize, Default)]
#[serde(rename_all = "lowercase")]
enum Style {
    #[default]
    Plain,
    /// Every word is an object.
    Fancy,
}

#[derive(serde::Deserialize)]
struct Author {
    name: String,
    born: i32,
}

/// Reports a story that was dropped before its end.
struct Ending {
    is_told: bool,
}

impl Ending {
    fn reached(&mut self) {
        self.is_told = true;
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if !self.is_told {
            eprintln!("the story was cut short");
        }
    }
}

#[ppio::entrypoint]
async fn agent(
    story: Story,
) -> Result<impl Stream<Item = Result<ppio::Value, String>>, ppio::Error> {
    if story.prompt.is_empty() {
        return Err(ppio::Error::bad_request("the prompt is empty").with_type("NoPrompt"));
    }
    let mut text = format!("{} ", story.prompt).repeat(story.times.unwrap_or(1).into());
    if story.loud {
        text = text.to_uppercase();
    }
    if let Some(author) = &story.author {
        text = format!("{} ({}): {text}", author.name, author.born);
    }
    for tag in &story.tags {
        text = format!("{text}#{tag} ");
    }
    let words: Vec<String> = text.split_inclusive(' ').map(str::to_owned).collect();
    let (last, mut ending) = (words.len() - 1, Ending { is_told: false });
    Ok(
        stream::iter(words.into_iter().enumerate()).then(move |(index, word)| {
            if index == last {
                ending.reached();
            }
            let word = match story.style {
                _ if story.fail_at == Some(index) => Err("the story failed".to_owned()),
                Style::Plain => Ok(word.into()),
                Style::Fancy => Ok(ppio::json!({ "word": word, "index": index })),
            };
            async move {
                tokio::time::sleep(Duration::from_millis(story.pause)).await;
                word
            }
        }),
    )
}
