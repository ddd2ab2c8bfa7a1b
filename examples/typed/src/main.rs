//! Custom request and response types. A request that does not fit them never reaches the function.

use std::num::NonZeroU32;

use ppio::Error;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Order {
    customer: Customer,
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Customer {
    name: String,
    #[serde(default)]
    plan: Plan,
}

#[derive(Deserialize, Default, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Plan {
    #[default]
    Free,
    Pro,
}

#[derive(Deserialize)]
struct Item {
    name: String,
    quantity: NonZeroU32,
    price_cents: u32,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Invoice {
    to: String,
    lines: Vec<Line>,
    total_cents: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Line {
    text: String,
    cents: u64,
}

#[ppio::entrypoint]
async fn agent(order: Order) -> Result<Invoice, Error> {
    // The types have checked the shape. The code below checks what types cannot express.
    if order.items.is_empty() {
        return Err(Error::bad_request("the order has no items").with_type("EmptyOrder"));
    }
    let lines: Vec<Line> = order.items.iter().map(line).collect();
    let sum: u64 = lines.iter().map(|line| line.cents).sum();
    Ok(Invoice {
        to: order.customer.name,
        total_cents: match order.customer.plan {
            Plan::Free => sum,
            Plan::Pro => sum - sum / 10,
        },
        lines,
    })
}

fn line(item: &Item) -> Line {
    Line {
        text: format!("{} × {}", item.quantity, item.name),
        cents: u64::from(item.quantity.get()) * u64::from(item.price_cents),
    }
}

#[cfg(test)]
mod tests {
    use ppio::json;
    use ppio::testing::TestAgent;

    use super::*;

    /// Calls the entrypoint directly, as a plain function.
    #[tokio::test]
    async fn a_pro_customer_pays_a_tenth_less() {
        let order = Order {
            customer: Customer {
                name: "Ada".to_owned(),
                plan: Plan::Pro,
            },
            items: vec![Item {
                name: "tea".to_owned(),
                quantity: NonZeroU32::MIN,
                price_cents: 1000,
            }],
        };
        assert_eq!(agent(order).await.unwrap().total_cents, 900);
    }

    /// Tests the whole agent: JSON, status, middleware and health check, without a socket.
    #[tokio::test]
    async fn an_order_becomes_an_invoice() {
        let agent = TestAgent::annotated().unwrap();
        let order = json!({
            "customer": { "name": "Ada" },
            "items": [{ "name": "tea", "quantity": 2, "price_cents": 350 }],
        });
        let invoice: Invoice = agent.invoke(&order).await.value().await;
        assert_eq!(invoice.to, "Ada");
        assert_eq!(invoice.lines[0].text, "2 × tea");
        assert_eq!(invoice.total_cents, 700);
    }

    #[tokio::test]
    async fn what_does_not_fit_is_refused_with_its_place() {
        let agent = TestAgent::annotated().unwrap();
        let order = json!({
            "customer": { "name": "Ada" },
            "items": [{ "name": "tea", "quantity": 0, "price_cents": 350 }],
        });
        let error = agent.invoke(&order).await.error().await;
        assert_eq!(error.status(), 422);
        let text = error.message();
        assert!(text.ends_with("(at `items[0].quantity`)"), "{text}");
    }

    #[tokio::test]
    async fn an_order_of_nothing_has_an_error_of_its_own() {
        let agent = TestAgent::annotated().unwrap();
        let order = json!({ "customer": { "name": "Ada" }, "items": [] });
        let error = agent.invoke(&order).await.error().await;
        assert_eq!(error.status(), 400);
        assert_eq!(error.error_type(), "EmptyOrder");
    }
}
