//! The tool and its schemas.

use serde_json::{Value, json};

use super::{call, handshake, stateless, text_of};
use crate::support::Agent;

mod typed {
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    #[derive(Deserialize, JsonSchema)]
    pub(super) struct Question {
        /// Where.
        city: String,
        #[serde(default)]
        days: u8,
    }

    #[derive(Serialize, JsonSchema)]
    pub(super) struct Forecast {
        city: String,
        degrees: Vec<i32>,
    }

    /// Tells the weather.
    #[ppio::entrypoint(config = crate::support::config())]
    async fn weather(question: Question) -> Forecast {
        Forecast {
            degrees: vec![20; question.days.into()],
            city: question.city,
        }
    }
}

mod plain_text {
    #[ppio::entrypoint(config = crate::support::config())]
    async fn shout(text: String) -> String {
        text.to_uppercase()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tool_has_the_schemas_of_the_function() {
    let agent = Agent::start_module(&format!("{}::typed", module_path!())).await;
    for is_stateless in [false, true] {
        let answer = if is_stateless {
            stateless(&agent, "tools/list", json!({})).await
        } else {
            handshake(&agent, "tools/list", &json!({})).await
        };
        let response = answer.json().await;
        let result = &response["result"];
        let tool = &result["tools"][0];
        assert_eq!(tool["name"], "protocol-tests");
        assert_eq!(tool["description"], "Tells the weather.");
        let input = &tool["inputSchema"];
        assert_eq!(input["type"], "object");
        assert_eq!(input["required"], json!(["city"]));
        assert_eq!(input["properties"]["city"]["description"], "Where.");
        assert_eq!(tool["outputSchema"]["type"], "object");
        assert_eq!(result["ttlMs"].is_u64(), is_stateless, "{result}");

        let arguments = json!({"city": "Paris", "days": 2});
        let response = call(&agent, is_stateless, arguments, Some("t")).await;
        let response = response.json().await;
        let result = &response["result"];
        let expected = json!({"city": "Paris", "degrees": [20, 20]});
        assert_eq!(result["structuredContent"], expected);
        let text: Value = serde_json::from_str(text_of(result)).unwrap();
        assert_eq!(text, expected);

        // The model should correct its arguments, so the error is a result.
        let response = call(&agent, is_stateless, json!({"city": 1}), None).await;
        assert_eq!(response.status(), 200);
        let response = response.json().await;
        assert_eq!(response["result"]["isError"], true);
        assert!(
            text_of(&response["result"]).contains("`city`"),
            "{response}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_not_an_object_is_the_argument_input() {
    let agent = Agent::start_module(&format!("{}::plain_text", module_path!())).await;
    let list = stateless(&agent, "tools/list", json!({}))
        .await
        .json()
        .await;
    let tool = &list["result"]["tools"][0];
    assert_eq!(tool["inputSchema"]["properties"]["input"]["type"], "string");
    assert_eq!(tool["outputSchema"], Value::Null);
    let response = call(&agent, true, json!({"input": "hello"}), None).await;
    assert_eq!(text_of(&response.json().await["result"]), "HELLO");
}
