//! The ways in which states are built, taken and released.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use ppio::{PingStatus, RequestContext, State, Value, json};

use crate::http::{Expected, get, invoke};

/// Makes an agent of the items of each row, and checks what it returns for `"hi"`.
macro_rules! agents {
    ($($name:ident: { $($item:item)+ } => $expected:expr;)+) => {$(
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            $($item)+

            #[tokio::test]
            async fn responds() {
                let response = invoke(module_path!(), "\"hi\"").await;
                response.assert(&Expected::Value($expected));
            }
        }
    )+};
}

agents! {
    built_by_an_async_function: {
        struct Word(&'static str);

        #[ppio::startup]
        async fn build() -> Word {
            Word("there")
        }

        #[ppio::entrypoint]
        async fn agent(request: String, word: State<Word>) -> String {
            format!("{request} {}", word.0.0)
        }
    } => json!("hi there");

    built_by_a_plain_function: {
        struct Word(&'static str);

        #[ppio::startup]
        fn build() -> Word {
            Word("there")
        }

        #[ppio::entrypoint]
        fn agent(request: String, State(word): State<Word>) -> String {
            format!("{request} {}", word.0)
        }
    } => json!("hi there");

    taken_by_reference: {
        struct Word(&'static str);

        #[ppio::startup]
        async fn build() -> Result<Word, std::io::Error> {
            Ok(Word("there"))
        }

        #[ppio::entrypoint]
        async fn agent(request: String, word: &State<Word>) -> String {
            format!("{request} {}", word.0.0)
        }
    } => json!("hi there");

    taken_in_any_order: {
        struct First(u32);
        struct Second(u32);
        type Alias = State<Second>;
        type AliasOfReference<'a> = &'a State<First>;

        #[ppio::startup]
        fn first() -> First {
            First(1)
        }

        #[ppio::startup]
        fn second() -> Result<Second, String> {
            Ok(Second(2))
        }

        #[ppio::entrypoint]
        async fn agent(
            _request: String,
            second: Alias,
            context: &RequestContext,
            first: AliasOfReference<'_>,
            again: State<First>,
        ) -> Value {
            json!([context.request_id().is_empty(), first.0.0, second.0.0, again.0.0])
        }
    } => json!([false, 1, 2, 1]);

    of_another_crate: {
        #[ppio::startup]
        async fn shared() -> Arc<Mutex<Vec<u8>>> {
            Arc::new(Mutex::new(vec![1, 2]))
        }

        #[ppio::startup]
        async fn counter() -> AtomicU32 {
            AtomicU32::new(1)
        }

        #[ppio::startup]
        async fn table() -> anyhow::Result<HashMap<String, u8>> {
            Ok(HashMap::from([("hi".to_owned(), 3)]))
        }

        #[ppio::entrypoint]
        async fn agent(
            request: String,
            shared: State<Arc<Mutex<Vec<u8>>>>,
            table: State<HashMap<String, u8>>,
            counter: State<AtomicU32>,
        ) -> Value {
            let shared = shared.lock().expect("no panic").len();
            json!([shared, table[&request], counter.fetch_add(1, Ordering::Relaxed)])
        }
    } => json!([2, 3, 1]);

    in_an_alias_of_result: {
        struct Word(&'static str);
        type Result = std::result::Result<Word, Box<dyn std::error::Error>>;

        #[ppio::startup]
        async fn build() -> Result {
            Ok(Word("there"))
        }

        #[ppio::entrypoint]
        async fn agent(request: String, word: State<Word>) -> String {
            format!("{request} {}", word.0.0)
        }
    } => json!("hi there");

    of_another_module: {
        mod inner {
            pub(super) struct Word(pub(super) &'static str);

            /// The error type may be private.
            #[derive(Debug, thiserror::Error)]
            #[error("broken")]
            struct Broken;

            #[ppio::startup]
            async fn build() -> Result<Word, Broken> {
                Ok(Word("there"))
            }
        }

        #[ppio::entrypoint]
        async fn agent(request: String, word: State<inner::Word>) -> String {
            format!("{request} {}", word.0.0)
        }
    } => json!("hi there");

    borrowed_by_items: {
        struct Words(Vec<String>);

        #[ppio::startup]
        async fn build() -> Words {
            Words(vec!["a".to_owned(), "b".to_owned()])
        }

        #[ppio::entrypoint]
        fn agent<'a>(_request: String, words: &'a State<Words>) -> Vec<&'a str> {
            words.0.0.iter().map(String::as_str).collect()
        }
    } => json!(["a", "b"]);

    checks_without_a_state: {
        #[ppio::startup]
        async fn check() -> Result<(), String> {
            Ok(())
        }

        #[ppio::startup]
        fn check_again() {}

        #[ppio::entrypoint]
        async fn agent(request: String) -> String {
            request
        }
    } => json!("hi");

    with_shutdown_functions: {
        struct Word(&'static str);

        #[ppio::startup]
        async fn build() -> Word {
            Word("there")
        }

        #[ppio::shutdown]
        async fn nothing() {}

        #[ppio::shutdown]
        fn plain(word: &State<Word>) -> Result<(), String> {
            if word.0.0.is_empty() { Err("empty".to_owned()) } else { Ok(()) }
        }

        #[ppio::shutdown]
        async fn boxed(_word: State<Word>) -> Result<(), Box<dyn std::error::Error>> {
            Ok(())
        }

        #[ppio::entrypoint]
        async fn agent(request: String, word: State<Word>) -> String {
            format!("{request} {}", word.0.0)
        }
    } => json!("hi there");

    in_middleware: {
        struct Word(&'static str);
        type Alias = State<Word>;

        #[ppio::startup]
        async fn build() -> Word {
            Word("there")
        }

        #[ppio::middleware]
        async fn before_next(
            mut request: ppio::Request,
            word: &State<Word>,
            next: ppio::Next,
            again: Alias,
        ) -> ppio::Response {
            request.extensions_mut().insert((word.0.0, again.0.0));
            next.run(request).await
        }

        #[ppio::entrypoint]
        async fn agent(request: String, context: RequestContext) -> Value {
            let words = context.extension::<(&str, &str)>().expect("an extension");
            json!([request, words.0, words.1])
        }
    } => json!(["hi", "there", "there"]);
}

mod in_pings {
    use super::{PingStatus, State, Value, get};

    /// Makes a ping of each row.
    macro_rules! pings {
        ($($name:ident: $ping:item)+) => {$(
            mod $name {
                use super::*;

                struct Busy(PingStatus);

                #[ppio::startup]
                async fn build() -> Busy {
                    Busy(PingStatus::HealthyBusy)
                }

                #[ppio::entrypoint]
                async fn agent(request: Value) -> Value {
                    request
                }

                #[ppio::ping]
                $ping

                #[tokio::test]
                async fn responds() {
                    let response = get(module_path!(), "/ping").await;
                    assert_eq!(response.json()["status"], "HealthyBusy");
                }
            }
        )+};
    }

    pings! {
        by_value: async fn health(busy: State<Busy>) -> PingStatus { busy.0.0 }
        by_reference: async fn health(busy: &State<Busy>) -> PingStatus { busy.0.0 }
        blocking: fn health(busy: State<Busy>) -> Result<PingStatus, String> { Ok(busy.0.0) }
        twice: fn health(_: State<Busy>, busy: &State<Busy>) -> PingStatus { busy.0.0 }
    }
}

mod outside_of_the_module {
    use super::State;

    pub(super) struct Word;

    #[ppio::startup]
    async fn build() -> Word {
        Word
    }

    mod agent {
        use super::{State, Word};

        #[ppio::entrypoint]
        async fn agent(request: String, _word: State<Word>) -> String {
            request
        }

        #[test]
        fn is_an_error_that_names_the_type_and_the_function() {
            let text = ppio::AgentRuntimeApp::annotated_in(module_path!())
                .expect_err("a state that is not built")
                .to_string();
            let state = std::any::type_name::<Word>();
            assert!(text.starts_with("`agent` at "), "{text}");
            assert!(text.contains(&format!(" takes `State<{state}>`")), "{text}");
        }
    }
}

mod built_twice {
    use super::Value;

    type Number = u16;

    mod first {
        #[ppio::startup]
        async fn one() -> super::Number {
            1
        }
    }

    mod second {
        #[ppio::startup]
        async fn two() -> Result<u16, String> {
            Ok(2)
        }
    }

    #[ppio::entrypoint]
    async fn agent(request: Value) -> Value {
        request
    }

    #[test]
    fn is_an_error_that_names_both() {
        let text = ppio::AgentRuntimeApp::annotated_in(module_path!())
            .expect_err("two states of a type")
            .to_string();
        assert!(text.contains("two states of the type `u16`"), "{text}");
        assert!(
            text.contains("`one` at ") && text.contains("`two` at "),
            "{text}"
        );
    }
}
