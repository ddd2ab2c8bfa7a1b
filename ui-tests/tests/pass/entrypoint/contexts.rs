//! The ways in which an entrypoint may take the context.

use ppio::{RequestContext, json};

use crate::http::{Expected, invoke_with};

type Context = RequestContext;
type ContextReference<'a> = &'a RequestContext;
type Words<'a> = Box<dyn Iterator<Item = String> + Send + 'a>;

/// Makes one agent of each row; each agent returns the request and the request id as items.
macro_rules! contexts {
    ($($name:ident: $agent:item)+) => {$(
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            #[ppio::entrypoint]
            $agent

            #[tokio::test]
            async fn is_passed() {
                let response = invoke_with(module_path!(), "\"hi\"", "x-request-id: r-1\r\n").await;
                response.assert(&Expected::Items(vec![json!("hi"), json!("r-1")]));
            }
        }
    )+};
}

contexts! {
    alias:
    async fn agent(request: String, context: Context) -> impl Iterator<Item = String> {
        [request, context.request_id().to_owned()].into_iter()
    }

    alias_of_reference:
    async fn agent(request: String, context: ContextReference<'_>) -> impl Iterator<Item = String> {
        [request, context.request_id().to_owned()].into_iter()
    }

    borrowed_by_an_iterator:
    fn agent(request: String, context: &RequestContext) -> impl Iterator<Item = String> {
        std::iter::once(request).chain(std::iter::once_with(|| context.request_id().to_owned()))
    }

    borrowed_by_a_boxed_iterator:
    fn agent(request: String, context: &RequestContext) -> Words<'_> {
        Box::new([request].into_iter().chain(std::iter::once(context.request_id().to_owned())))
    }

    borrowed_by_items:
    fn agent(_request: String, context: &RequestContext) -> impl Iterator<Item = &str> {
        ["hi", context.request_id()].into_iter()
    }

    borrowed_under_a_named_lifetime:
    fn agent<'a>(request: String, context: &'a RequestContext) -> Words<'a> {
        Box::new([request].into_iter().chain(std::iter::once(context.request_id().to_owned())))
    }

    borrowed_by_a_stream:
    async fn agent(
        request: String,
        context: &RequestContext,
    ) -> impl futures_util::Stream<Item = String> {
        futures_util::stream::iter([request, context.request_id().to_owned()])
    }

    borrowed_by_a_future:
    fn agent(
        request: String,
        context: &RequestContext,
    ) -> impl Future<Output = std::vec::IntoIter<String>> {
        async move { vec![request, context.request_id().to_owned()].into_iter() }
    }

    current:
    fn agent(request: String) -> impl Iterator<Item = String> {
        let current = || ppio::AgentRuntimeContext::current().expect("a context while polled");
        let id = std::iter::once_with(move || current().request_id().to_owned());
        std::iter::once(request).chain(id)
    }
}
