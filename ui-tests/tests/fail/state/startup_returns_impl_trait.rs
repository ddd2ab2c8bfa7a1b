#[ppio::startup]
async fn build() -> Result<impl Iterator<Item = u8>, String> {
    Ok(0..3)
}

fn main() {}
