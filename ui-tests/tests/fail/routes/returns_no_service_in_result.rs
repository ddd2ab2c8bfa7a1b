#[ppio::routes]
async fn routes() -> Result<u16, std::io::Error> {
    Ok(8080)
}

fn main() {}
