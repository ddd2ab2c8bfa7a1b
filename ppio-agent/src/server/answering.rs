//! The future of a response.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;
use pin_project_lite::pin_project;

use super::chunked_body::ChunkedBody;
use crate::exchange::body::{self, Body};

type Boxed = Pin<Box<dyn Future<Output = body::Response> + Send>>;

pin_project! {
    /// Waits for a response. The future of most requests is small and is stored in place; any other
    /// future is boxed, so that it does not enlarge this type.
    #[project = AnsweringProjection]
    pub(crate) enum Answering<F> {
        InPlace {
            #[pin]
            answer: F,
        },
        Boxed {
            answer: Boxed,
        },
    }
}

impl<F> Answering<F> {
    pub(crate) fn boxed(answer: impl Future<Output = body::Response> + Send + 'static) -> Self {
        Self::Boxed {
            answer: Box::pin(answer),
        }
    }
}

impl<F: Future<Output = body::Response>> Future for Answering<F> {
    type Output = body::Response;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<body::Response> {
        match self.project() {
            AnsweringProjection::InPlace { answer } => answer.poll(cx),
            AnsweringProjection::Boxed { answer } => answer.as_mut().poll(cx),
        }
    }
}

pin_project! {
    /// Waits for a response, and splits the large frames of its body.
    pub(crate) struct Chunked<F> {
        #[pin]
        answer: F,
    }
}

impl<F> Chunked<F> {
    pub(crate) fn new(answer: F) -> Self {
        Self { answer }
    }
}

impl<F: Future<Output = Response<Body>>> Future for Chunked<F> {
    type Output = Response<ChunkedBody>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response<ChunkedBody>> {
        let response = self.project().answer.poll(cx);
        response.map(|response| response.map(ChunkedBody::new))
    }
}
