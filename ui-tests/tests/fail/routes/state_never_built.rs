use axum::Router;
use ppio::State;

struct Database;

#[ppio::routes]
fn routes(_database: State<Database>) -> Router {
    Router::new()
}

fn main() {}
