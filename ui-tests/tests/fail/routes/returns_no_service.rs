#[ppio::routes]
fn routes() -> Vec<String> {
    Vec::new()
}

fn main() {}
