//! Chats: the messages, tools and events that every chat protocol has in some form.

mod event;
mod message;
mod resume;
mod tool;

#[doc(hidden)]
pub use event::CHAT_EVENT_NAME;
pub use event::{ChatEvent, FinishReason};
pub use message::{ChatMessage, ChatPart, ChatRole};
pub use resume::{InterruptResponse, InterruptStatus};
pub use tool::{ChatTool, ToolCall};
