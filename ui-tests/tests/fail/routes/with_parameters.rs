use axum::Router;
use ppio::RequestContext;

#[ppio::routes]
fn routes(_context: &RequestContext) -> Router {
    Router::new()
}

fn main() {}
