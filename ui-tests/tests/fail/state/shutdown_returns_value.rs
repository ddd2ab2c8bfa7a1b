#[ppio::shutdown]
async fn close() -> u8 {
    1
}

#[ppio::shutdown]
fn flush() -> Result<usize, String> {
    Ok(1)
}

fn main() {}
