//! Writes each shape of a result down once, and makes every function of it.

/// Makes six agents of each row: `async` or not; without the context, with it by value, and by
/// reference. A row names the type that the functions return and the code that makes it out of
/// `request`, which is `"hi"`, and `who`, the request id of the context where there is one and
/// `"nobody"` where not.
///
/// The types come as single tokens (`tt`), as a function's own do.
macro_rules! agents {
    (|$request:ident, $who:ident| $(
        $shape:ident: [$($output:tt)+] $body:block => $expected:expr;
    )+) => {$(
        mod $shape {
            #[allow(unused_imports)]
            use super::*;

            agents!(agent async_plain [async] $request $who [] { "nobody" } [$($output)+] $body);
            agents!(agent async_value [async] $request $who
                [context: ppio::RequestContext] { context.request_id() }
                [$($output)+] $body);
            agents!(agent async_reference [async] $request $who
                [context: &ppio::RequestContext] { context.request_id() }
                [$($output)+] $body);
            agents!(agent sync_plain [] $request $who [] { "nobody" } [$($output)+] $body);
            agents!(agent sync_value [] $request $who
                [context: ppio::RequestContext] { context.request_id() }
                [$($output)+] $body);
            agents!(agent sync_reference [] $request $who
                [context: &ppio::RequestContext] { context.request_id() }
                [$($output)+] $body);

            #[tokio::test]
            async fn answers() {
                for (agent, $who) in [
                    ("async_plain", "nobody"),
                    ("async_value", "r-1"),
                    ("async_reference", "r-1"),
                    ("sync_plain", "nobody"),
                    ("sync_value", "r-1"),
                    ("sync_reference", "r-1"),
                ] {
                    let _ = $who;
                    let module = format!("{}::{agent}", module_path!());
                    let expected: Expected = $expected;
                    let id = "x-request-id: r-1\r\n";
                    let answer = crate::served::invoke_with(&module, "\"hi\"", id).await;
                    answer.assert(&expected);
                }
            }
        }
    )+};

    (agent $name:ident [$($async:ident)?] $request:ident $who:ident
        [$($context:tt)*] $session:block [$($output:tt)+] $body:block
    ) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            #[ppio::entrypoint]
            $($async)? fn agent($request: String, $($context)*) -> $($output)+ {
                #[allow(unused_variables)]
                let $who = ($session).to_owned();
                $body
            }
        }
    };
}
