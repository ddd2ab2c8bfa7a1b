use ppio_test_support::{AgentProcess, call};
use serde_json::{Value, json};

fn order(quantity: &Value) -> Value {
    json!({
        "customer": { "name": "Ada", "plan": "pro" },
        "items": [
            { "name": "cup", "quantity": 1, "price_cents": 300 },
            { "name": "tea", "quantity": quantity, "price_cents": 350 },
        ],
    })
}

#[tokio::test]
async fn an_order_becomes_an_invoice() {
    let agent = AgentProcess::start("typed");
    let invoice = call::invoke(&agent, &order(&json!(2))).await.result().await;
    let expected = json!({
        "to": "Ada",
        "lines": [
            { "text": "1 × cup", "cents": 300 },
            { "text": "2 × tea", "cents": 700 },
        ],
        "total_cents": 900,
    });
    assert_eq!(invoice, expected);
}

#[tokio::test]
async fn an_invalid_field_is_rejected_with_its_path() {
    let agent = AgentProcess::start("typed");
    for quantity in [json!(0), json!(-1), json!("two"), json!(null)] {
        let answer = call::invoke(&agent, &order(&quantity)).await;
        let text = answer.error(422, "ValidationError").await;
        assert!(text.ends_with("(at `items[1].quantity`)"), "{text}");
    }
    let mut wrong = order(&json!(1));
    wrong["customer"]["plan"] = json!("gold");
    let text = call::invoke(&agent, &wrong).await;
    let text = text.error(422, "ValidationError").await;
    assert!(text.contains("unknown variant `gold`"), "{text}");
    assert!(text.ends_with("(at `customer.plan`)"), "{text}");
}

#[tokio::test]
async fn a_custom_validation_has_its_own_error_type() {
    let agent = AgentProcess::start("typed");
    let empty = json!({ "customer": { "name": "Ada" }, "items": [] });
    let answer = call::invoke(&agent, &empty).await;
    let text = answer.error(400, "EmptyOrder").await;
    assert_eq!(text, "the order has no items");
}
