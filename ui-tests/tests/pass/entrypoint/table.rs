//! Makes entrypoints from a table of return types.

/// Makes six agents of each row: `async` or not; without the context, with the context by value,
/// and with the context by reference. A row consists of the return type of the functions and the
/// code that makes a value of that type from `request`, which is `"hi"`, and `id`, which is the
/// request id of the context, or `"none"` without one.
///
/// The types are passed as single tokens (`tt`), as they are in an ordinary function.
macro_rules! agents {
    (|$request:ident, $id:ident| $(
        $row:ident: [$($output:tt)+] $body:block => $expected:expr;
    )+) => {$(
        mod $row {
            #[allow(unused_imports)]
            use super::*;

            agents!(agent async_plain [async] $request $id [] { "none" } [$($output)+] $body);
            agents!(agent async_value [async] $request $id
                [context: ppio::RequestContext] { context.request_id() }
                [$($output)+] $body);
            agents!(agent async_reference [async] $request $id
                [context: &ppio::RequestContext] { context.request_id() }
                [$($output)+] $body);
            agents!(agent sync_plain [] $request $id [] { "none" } [$($output)+] $body);
            agents!(agent sync_value [] $request $id
                [context: ppio::RequestContext] { context.request_id() }
                [$($output)+] $body);
            agents!(agent sync_reference [] $request $id
                [context: &ppio::RequestContext] { context.request_id() }
                [$($output)+] $body);

            #[tokio::test]
            async fn responds() {
                for (agent, $id) in [
                    ("async_plain", "none"),
                    ("async_value", "r-1"),
                    ("async_reference", "r-1"),
                    ("sync_plain", "none"),
                    ("sync_value", "r-1"),
                    ("sync_reference", "r-1"),
                ] {
                    let _ = $id;
                    let module = format!("{}::{agent}", module_path!());
                    let expected: Expected = $expected;
                    let header = "x-request-id: r-1\r\n";
                    let response = crate::http::invoke_with(&module, "\"hi\"", header).await;
                    response.assert(&expected);
                }
            }
        }
    )+};

    (agent $name:ident [$($async:ident)?] $request:ident $id:ident
        [$($context:tt)*] $request_id:block [$($output:tt)+] $body:block
    ) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            #[ppio::entrypoint]
            $($async)? fn agent($request: String, $($context)*) -> $($output)+ {
                #[allow(unused_variables)]
                let $id = ($request_id).to_owned();
                $body
            }
        }
    };
}
