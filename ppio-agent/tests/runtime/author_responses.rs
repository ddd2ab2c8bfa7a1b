//! A response that an entrypoint returned is counted by its status.

use crate::support::{TestServer, config};
use futures_util::stream;
use http_body_util::StreamBody;
use ppio::{AgentRuntimeApp, Body, Response, bytes::Bytes};

#[tokio::test]
async fn a_user_response_is_counted_by_its_status() {
    for is_stream in [false, true] {
        let app = AgentRuntimeApp::builder()
            .config(config())
            .entrypoint(move |status: u16| async move {
                let body = if is_stream {
                    let frame = http_body::Frame::data(Bytes::from_static(b"x"));
                    Body::new(StreamBody::new(stream::iter([Ok::<_, ppio::Error>(frame)])))
                } else {
                    Body::from("x")
                };
                let mut response = Response::new(body);
                *response.status_mut() = status.try_into().expect("a status");
                response
            })
            .build();
        let server = TestServer::start(app).await;
        for status in [200, 201, 302, 400, 404, 429, 500, 503, 599] {
            assert_eq!(server.invoke(&status.to_string()).await.status, status);
        }
        for (end, count) in [("success", 3), ("client_error", 3), ("server_error", 3)] {
            let name = format!("invocations_total{{outcome=\"{end}\"}}");
            assert_eq!(server.metric(&name).await, count, "{end}");
        }
    }
}
