#[ppio::routes]
fn routes() {}

fn main() {}
