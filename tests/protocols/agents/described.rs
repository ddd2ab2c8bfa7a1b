//! An agent whose request, answer, items and errors have schemas, for programs that read its
//! `OpenAPI` document.

use std::num::NonZeroU8;

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use ppio::{Error, Reply, RequestContext};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, JsonSchema)]
struct Order {
    customer: String,
    #[serde(default)]
    plan: Plan,
    lines: Vec<Line>,
    note: Option<String>,
}

#[derive(Deserialize, Default, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Plan {
    #[default]
    Free,
    Pro,
}

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
struct Line {
    name: String,
    quantity: NonZeroU8,
    cents: u32,
}

#[derive(Serialize, JsonSchema)]
struct Invoice {
    customer: String,
    total_cents: u64,
    note: Option<String>,
}

/// An item of a stream.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Event {
    Line(Line),
    Total(Invoice),
}

/// Answers with the invoice or, to callers that want a stream, with its lines first. A line for
/// nothing is an error.
#[ppio::entrypoint]
async fn agent(
    order: Order,
    context: RequestContext,
) -> Result<Reply<Invoice, BoxStream<'static, Result<Event, Error>>>, Error> {
    if order.lines.is_empty() {
        return Err(Error::bad_request("the order has no lines").with_type("EmptyOrder"));
    }
    let sums = order.lines.iter();
    let sum: u64 = sums
        .map(|line| u64::from(line.cents) * u64::from(line.quantity.get()))
        .sum();
    let invoice = Invoice {
        customer: order.customer,
        total_cents: match order.plan {
            Plan::Free => sum,
            Plan::Pro => sum / 2,
        },
        note: order.note,
    };
    if !context.stream_requested() {
        return Ok(Reply::Value(invoice));
    }
    let lines = order.lines.into_iter().map(|line| match line.cents {
        0 => Err(Error::bad_request("a line has the price 0").with_type("FreeLine")),
        _ => Ok(Event::Line(line)),
    });
    let items: Vec<_> = lines.chain([Ok(Event::Total(invoice))]).collect();
    Ok(Reply::Stream(stream::iter(items).boxed()))
}
