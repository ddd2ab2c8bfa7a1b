#[ppio::ping]
async fn health() -> Result<u16, ppio::Error> {
    Ok(200)
}

fn main() {}
