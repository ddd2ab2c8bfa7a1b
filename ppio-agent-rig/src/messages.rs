//! Converts the messages of a request to rig's.

use std::collections::HashMap;

use ppio::{ChatMessage, ChatPart, ChatRole, Error, ToolCall};
use rig::message::{
    AssistantContent, AssistantMessage, Audio, AudioMediaType, CallId, Document, DocumentMediaType,
    DocumentSourceKind, Image, ImageMediaType, Message, MimeType, ToolCall as RigToolCall,
    ToolFunction, ToolName, ToolResult, ToolResultContent, UserContent, Video, VideoMediaType,
};

/// Converts the messages of a chat to rig's, the oldest first.
///
/// | message | in rig |
/// | --- | --- |
/// | system, developer | a system message |
/// | user | a user message: text, pictures, sounds, videos and documents; data as its JSON |
/// | assistant | an assistant message: text and tool calls. Other parts are left out |
/// | the result of a tool | a user message; the results of one turn are in one message |
///
/// # Errors
/// A 400 with the position of a message that cannot be sent to a model: an unknown role, a part of
/// a user message that is not text, data or a file, a file without `url` and `data`, a file whose
/// type no model takes, a tool call without a name, the result of a tool without the id of a call,
/// or with the id of a call that no earlier message has.
///
/// ```
/// use ppio::ChatMessage;
/// use ppio_rig::rig::message::Message;
///
/// let messages = ppio_rig::messages(&[ChatMessage::user("Hi"), ChatMessage::assistant("Hello")])?;
/// assert_eq!(messages, [Message::user("Hi"), Message::assistant("Hello")]);
/// # Ok::<(), ppio::Error>(())
/// ```
pub fn messages(messages: &[ChatMessage]) -> Result<Vec<Message>, Error> {
    let mut conversation = Conversation::default();
    for (index, message) in messages.iter().enumerate() {
        let added = conversation.add(message);
        added.map_err(|reason| Error::bad_request(format!("`messages[{index}]`: {reason}")))?;
    }
    Ok(conversation.messages)
}

#[derive(Default)]
struct Conversation<'a> {
    messages: Vec<Message>,
    /// The names of the tools by the ids of their calls.
    called: HashMap<&'a str, &'a str>,
    /// Whether the last message has results of tools.
    ends_with_results: bool,
}

impl<'a> Conversation<'a> {
    fn add(&mut self, message: &'a ChatMessage) -> Result<(), String> {
        let joins_results = std::mem::take(&mut self.ends_with_results);
        match message.role {
            ChatRole::System | ChatRole::Developer => {
                self.messages.push(Message::system(message.text()));
            }
            ChatRole::User => {
                let content: Result<Vec<_>, _> = message.content.iter().map(user_content).collect();
                self.messages.push(Message::User { content: content? });
            }
            ChatRole::Assistant => {
                let content = self.assistant_content(message)?;
                if !content.is_empty() {
                    let turn = AssistantMessage::new(content);
                    self.messages.push(Message::Assistant(turn));
                }
            }
            ChatRole::Tool => {
                let result = UserContent::ToolResult(self.tool_result(message)?);
                match self.messages.last_mut() {
                    Some(Message::User { content }) if joins_results => content.push(result),
                    _ => self.messages.push(result.into()),
                }
                self.ends_with_results = true;
            }
            role => return Err(format!("the role {role:?} is unknown")),
        }
        Ok(())
    }

    fn assistant_content(
        &mut self,
        message: &'a ChatMessage,
    ) -> Result<Vec<AssistantContent>, String> {
        let texts = message.content.iter().filter_map(ChatPart::as_text);
        let mut content: Vec<_> = texts
            .filter(|text| !text.is_empty())
            .map(AssistantContent::text)
            .collect();
        for call in &message.tool_calls {
            self.called.insert(&call.id, &call.name);
            content.push(AssistantContent::ToolCall(tool_call(call)?));
        }
        Ok(content)
    }

    fn tool_result(&self, message: &ChatMessage) -> Result<ToolResult, String> {
        let id = message.tool_call_id.as_deref();
        let id = id.ok_or("the result of a tool has no `tool_call_id`")?;
        let name = self.called.get(id).ok_or_else(|| {
            format!("it is the result of the call `{id}`, which no earlier message has")
        })?;
        Ok(ToolResult {
            call: CallId::from_wire(id),
            name: tool_name(name, id)?,
            content: vec![ToolResultContent::text(message.text())],
            is_error: false,
        })
    }
}

fn tool_call(call: &ToolCall) -> Result<RigToolCall, String> {
    let name = tool_name(&call.name, &call.id)?;
    let function = ToolFunction::parse(name, &call.arguments);
    Ok(RigToolCall::from_wire(&call.id, function))
}

fn tool_name(name: &str, call: &str) -> Result<ToolName, String> {
    ToolName::new(name).map_err(|_| format!("the tool call `{call}` has no name"))
}

fn user_content(part: &ChatPart) -> Result<UserContent, String> {
    match part {
        ChatPart::Text { text } => Ok(UserContent::text(text)),
        ChatPart::Data { data } => Ok(UserContent::text(data.to_string())),
        ChatPart::File {
            media_type,
            url,
            data,
            ..
        } => {
            let source = match (data, url) {
                (Some(data), _) => DocumentSourceKind::base64(data),
                (None, Some(url)) => DocumentSourceKind::url(url),
                (None, None) => return Err("a file has neither `url` nor `data`".into()),
            };
            file(media_type.as_deref().unwrap_or_default(), source)
        }
        other => Err(format!(
            "a part of the type {} cannot be sent to a model; send text or files",
            part_type(other)
        )),
    }
}

/// Returns the file as the kind of content that its media type names.
fn file(media_type: &str, data: DocumentSourceKind) -> Result<UserContent, String> {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    if let Some(kind) = ImageMediaType::from_mime_type(essence) {
        return Ok(UserContent::Image(Image {
            data,
            media_type: Some(kind),
            ..Image::default()
        }));
    }
    if let Some(kind) = AudioMediaType::from_mime_type(essence) {
        return Ok(UserContent::Audio(Audio {
            data,
            media_type: Some(kind),
        }));
    }
    if let Some(kind) = VideoMediaType::from_mime_type(essence) {
        return Ok(UserContent::Video(Video {
            data,
            media_type: Some(kind),
            additional_params: None,
        }));
    }
    if let Some(kind) = DocumentMediaType::from_mime_type(essence) {
        return Ok(UserContent::Document(Document {
            data,
            media_type: Some(kind),
            additional_params: None,
        }));
    }
    // The URL of a picture is often sent without its exact type.
    let is_image = essence.is_empty() || essence == "image/*";
    if is_image && matches!(data, DocumentSourceKind::Url(_)) {
        return Ok(UserContent::Image(Image {
            data,
            ..Image::default()
        }));
    }
    Err(format!(
        "a file of the type `{media_type}` cannot be sent to a model; send a picture, a sound, a \
         video or a document"
    ))
}

fn part_type(part: &ChatPart) -> String {
    match part {
        ChatPart::Other(value) => value["type"].to_string(),
        known => format!("{known:?}"),
    }
}

#[cfg(test)]
mod tests {
    use ppio::json;

    use super::*;

    fn read(messages: &ppio::Value) -> Vec<ChatMessage> {
        let request = json!({ "messages": messages });
        ppio::InvocationRequest::from_text(&request.to_string()).messages
    }

    #[test]
    fn a_conversation_with_tools_keeps_its_calls_and_results() {
        let chat = read(&json!([
            { "role": "developer", "content": "Be brief." },
            { "role": "user", "content": "What time is it in Paris and in Rome?" },
            {
                "role": "assistant",
                "content": [{ "type": "reasoning", "text": "hm" }, { "type": "text", "text": "I look." }],
                "tool_calls": [
                    { "id": "c1", "name": "clock", "arguments": "{\"zone\":\"Paris\"}" },
                    { "id": "c2", "name": "clock", "arguments": "{\"zone\":\"Rome\"}" },
                ],
            },
            { "role": "tool", "tool_call_id": "c1", "content": "12:00" },
            { "role": "tool", "tool_call_id": "c2", "content": "12:01" },
            { "role": "assistant", "content": "12:00 and 12:01." },
            { "role": "user", "content": [{ "type": "data", "data": { "a": 1 } }] },
        ]));
        assert_eq!(chat.len(), 7);
        let clock = || ToolName::new("clock").unwrap();
        let call = |id: &str, zone: &str| {
            AssistantContent::tool_call(id, clock(), json!({ "zone": zone }))
        };
        let result = |id: &str, time: &str| {
            let content = vec![ToolResultContent::text(time)];
            UserContent::tool_result(CallId::from_wire(id), clock(), content)
        };
        let expected = [
            Message::system("Be brief."),
            Message::user("What time is it in Paris and in Rome?"),
            Message::from(vec![
                AssistantContent::text("I look."),
                call("c1", "Paris"),
                call("c2", "Rome"),
            ]),
            Message::from(vec![result("c1", "12:00"), result("c2", "12:01")]),
            Message::assistant("12:00 and 12:01."),
            Message::user(r#"{"a":1}"#),
        ];
        assert_eq!(messages(&chat).unwrap(), expected);
    }

    #[test]
    fn files_are_content_of_their_kind() {
        for (media_type, address, expected) in [
            (
                "image/png",
                "data",
                UserContent::image_base64("AAAA", Some(ImageMediaType::PNG), None),
            ),
            ("image/*", "url", UserContent::image_url("AAAA", None, None)),
            (
                "audio/wav",
                "data",
                UserContent::audio_base64("AAAA", Some(AudioMediaType::WAV)),
            ),
            (
                "video/mp4",
                "url",
                UserContent::video_url("AAAA", Some(VideoMediaType::MP4)),
            ),
            (
                "application/pdf",
                "url",
                UserContent::document_url("AAAA", Some(DocumentMediaType::PDF)),
            ),
        ] {
            let mut part = json!({ "type": "file", "media_type": media_type });
            part[address] = json!("AAAA");
            let chat = read(&json!([{ "role": "user", "content": [part] }]));
            let content = vec![expected];
            assert_eq!(messages(&chat).unwrap(), [Message::User { content }]);
        }
    }

    #[test]
    fn unsupported_content_is_refused_with_its_position() {
        let call = json!({ "role": "assistant", "tool_calls": [{ "id": "c1", "name": "" }] });
        for (message, reason) in [
            (
                json!({ "role": "user", "content": [{ "type": "hologram" }] }),
                "`messages[1]`: a part of the type \"hologram\" cannot be sent",
            ),
            (
                json!({ "role": "user", "content": [{ "type": "file", "media_type": "application/zip", "data": "AAAA" }] }),
                "a file of the type `application/zip` cannot be sent",
            ),
            (
                json!({ "role": "user", "content": [{ "type": "file", "media_type": "image/png" }] }),
                "a file has neither `url` nor `data`",
            ),
            (
                json!({ "role": "tool", "tool_call_id": "c9", "content": "" }),
                "the call `c9`, which no earlier message has",
            ),
            (
                json!({ "role": "tool", "content": "" }),
                "no `tool_call_id`",
            ),
            (call, "the tool call `c1` has no name"),
        ] {
            let chat = read(&json!([{ "role": "user", "content": "hi" }, message]));
            let error = messages(&chat).unwrap_err();
            assert_eq!(error.status(), 400);
            assert!(error.message().contains(reason), "{}", error.message());
        }
    }
}
