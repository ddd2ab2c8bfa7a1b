//! A message that is being sent.

use bytes::Bytes;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::message::WebSocketMessage;

/// A message that is being sent; some of its frames may have been sent already.
#[derive(Debug)]
pub(crate) struct OutgoingMessage {
    rest: Bytes,
    kind: Data,
}

impl OutgoingMessage {
    pub(crate) fn new(message: WebSocketMessage) -> Self {
        let (rest, kind) = match message {
            WebSocketMessage::Text(text) => (text.into(), Data::Text),
            WebSocketMessage::Binary(bytes) => (bytes, Data::Binary),
        };
        Self { rest, kind }
    }

    /// Returns the next frame, its size, and whether it is the last one.
    pub(crate) fn next_frame(&mut self, max_size: usize) -> (Message, usize, bool) {
        let size = self.rest.len().min(max_size.max(1));
        let payload = self.rest.split_to(size);
        let kind = std::mem::replace(&mut self.kind, Data::Continue);
        let is_last = self.rest.is_empty();
        let frame = Frame::message(payload, OpCode::Data(kind), is_last);
        (Message::Frame(frame), size, is_last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_divided_into_frames_of_the_maximum_size() {
        for (length, sizes) in [
            (0, &[0][..]),
            (1, &[1]),
            (4, &[4]),
            (5, &[4, 1]),
            (12, &[4, 4, 4]),
        ] {
            let mut message = OutgoingMessage::new(vec![0; length].into());
            let mut found = Vec::new();
            loop {
                let (_, size, is_last) = message.next_frame(4);
                found.push(size);
                if is_last {
                    break;
                }
            }
            assert_eq!(found, sizes);
        }
    }
}
