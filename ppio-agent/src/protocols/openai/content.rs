//! The content of messages.

use ppio_agent_protocol::ChatPart;
use serde_json::Value;

use super::does_not_fit;
use crate::exchange::error::Error;

/// Reads the content of a message: a text, or a list of parts.
pub(super) fn parts(content: Value, place: &str) -> Result<Vec<ChatPart>, Error> {
    match content {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => Ok(vec![ChatPart::text(text)]),
        Value::Array(parts) => parts
            .into_iter()
            .enumerate()
            .map(|(at, part)| {
                read(part).map_err(|why| does_not_fit(&format!("{place}[{at}]"), why))
            })
            .collect(),
        _ => Err(does_not_fit(place, "expected a string or a list of parts")),
    }
}

/// Reads a content part of a chat completion or of a response. A part of an unknown type is kept
/// unchanged.
fn read(part: Value) -> Result<ChatPart, &'static str> {
    let Some(kind) = part["type"].as_str() else {
        return Err("expected an object with a `type`");
    };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Ok(match kind {
        "text" | "input_text" | "output_text" => {
            ChatPart::text(part["text"].as_str().ok_or("missing field `text`")?)
        }
        "refusal" => ChatPart::text(part["refusal"].as_str().ok_or("missing field `refusal`")?),
        "image_url" => {
            let url = text(&part["image_url"]["url"]).ok_or("missing field `image_url.url`")?;
            file_at(url, None)
        }
        "input_image" => match text(&part["image_url"]) {
            Some(url) => file_at(url, None),
            None => stored(part, "missing field `image_url`")?,
        },
        "input_audio" => {
            let audio = &part["input_audio"];
            let data = text(&audio["data"]).ok_or("missing field `input_audio.data`")?;
            let media_type = audio["format"].as_str().map(|format| match format {
                "mp3" => "audio/mpeg".to_owned(),
                format => format!("audio/{format}"),
            });
            ChatPart::File {
                media_type,
                name: None,
                url: None,
                data: Some(data),
            }
        }
        "file" | "input_file" => {
            let file = if kind == "file" { &part["file"] } else { &part };
            let name = text(&file["filename"]);
            match (text(&file["file_data"]), text(&file["file_url"])) {
                (Some(data), _) if data.starts_with("data:") => file_at(data, name),
                (Some(data), _) => ChatPart::File {
                    media_type: None,
                    name,
                    url: None,
                    data: Some(data),
                },
                (None, Some(url)) => file_at(url, name),
                (None, None) => stored(part, "missing field `file_data`")?,
            }
        }
        _ => ChatPart::Other(part),
    })
}

/// Keeps a part that refers to a stored file by its id, since the agent's own code may have access
/// to the API that stores the file.
fn stored(part: Value, missing: &'static str) -> Result<ChatPart, &'static str> {
    let has_id = part["file_id"].is_string() || part["file"]["file_id"].is_string();
    if has_id {
        Ok(ChatPart::Other(part))
    } else {
        Err(missing)
    }
}

/// Returns the part for a file at a URL; a `data:` URL may contain the file itself.
fn file_at(url: String, name: Option<String>) -> ChatPart {
    let inline = url
        .strip_prefix("data:")
        .and_then(|data| data.split_once(','));
    let inline = inline.and_then(|(kind, data)| Some((kind.strip_suffix(";base64")?, data)));
    let (media_type, url, data) = match inline {
        Some((media_type, data)) => {
            let media_type = (!media_type.is_empty()).then(|| media_type.to_owned());
            (media_type, None, Some(data.to_owned()))
        }
        None => (None, Some(url), None),
    };
    ChatPart::File {
        media_type,
        name,
        url,
        data,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parts_of_both_apis_are_files_and_texts() {
        let file = |media_type: Option<&str>,
                    name: Option<&str>,
                    url: Option<&str>,
                    data: Option<&str>| {
            let owned = |text: Option<&str>| text.map(str::to_owned);
            ChatPart::File {
                media_type: owned(media_type),
                name: owned(name),
                url: owned(url),
                data: owned(data),
            }
        };
        let picture = "https://a.example/b.png";
        let unknown = json!({"type": "video", "x": 1});
        let stored = json!({"type": "file", "file": {"file_id": "file-1"}});
        for (part, expected) in [
            (json!({"type": "text", "text": "a"}), ChatPart::text("a")),
            (
                json!({"type": "output_text", "text": "a", "annotations": []}),
                ChatPart::text("a"),
            ),
            (
                json!({"type": "refusal", "refusal": "no"}),
                ChatPart::text("no"),
            ),
            (
                json!({"type": "image_url", "image_url": {"url": picture, "detail": "low"}}),
                file(None, None, Some(picture), None),
            ),
            (
                json!({"type": "input_image", "image_url": "data:image/png;base64,AAAA"}),
                file(Some("image/png"), None, None, Some("AAAA")),
            ),
            (
                json!({"type": "image_url", "image_url": {"url": "data:text/plain,hi"}}),
                file(None, None, Some("data:text/plain,hi"), None),
            ),
            (
                json!({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}}),
                file(Some("audio/mpeg"), None, None, Some("AAAA")),
            ),
            (
                json!({"type": "file", "file": {"file_data": "AAAA", "filename": "a.pdf"}}),
                file(None, Some("a.pdf"), None, Some("AAAA")),
            ),
            (
                json!({"type": "input_file", "file_url": picture}),
                file(None, None, Some(picture), None),
            ),
            (stored.clone(), ChatPart::Other(stored)),
            (unknown.clone(), ChatPart::Other(unknown)),
        ] {
            assert_eq!(
                parts(json!([part.clone()]), "content").unwrap(),
                [expected],
                "{part}"
            );
        }
    }

    #[test]
    fn an_incomplete_part_is_an_error_with_its_location() {
        for (content, place) in [
            (json!(5), "`content`"),
            (json!(["a"]), "`content[0]`"),
            (
                json!([{"type": "text", "text": "a"}, {"type": "text"}]),
                "`content[1]`",
            ),
            (
                json!([{"type": "image_url", "image_url": "x"}]),
                "`content[0]`",
            ),
            (json!([{"type": "input_image"}]), "`content[0]`"),
            (
                json!([{"type": "input_audio", "input_audio": {}}]),
                "`content[0]`",
            ),
            (json!([{"type": "file", "file": null}]), "`content[0]`"),
        ] {
            let error = parts(content.clone(), "content").unwrap_err();
            assert_eq!(error.status(), 422, "{content}");
            assert!(error.message().contains(place), "{content}: {error}");
        }
    }
}
