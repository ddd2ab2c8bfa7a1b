use axum::Router;

#[ppio::routes]
fn routes() -> Router {
    Router::new()
}

#[ppio::routes]
fn more_routes() -> Router {
    Router::new()
}

fn main() {}
