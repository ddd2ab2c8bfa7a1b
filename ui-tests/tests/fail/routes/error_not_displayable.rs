use axum::Router;

struct Broken;

#[ppio::routes]
fn routes() -> Result<Router, Broken> {
    Err(Broken)
}

fn main() {}
