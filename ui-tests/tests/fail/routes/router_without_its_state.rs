use axum::Router;

#[derive(Clone)]
struct Database;

#[ppio::routes]
fn routes() -> Router<Database> {
    Router::new()
}

fn main() {}
